"""Systems that run durable commands, ours and others, each behind the same few functions (drive.py).

Each module runs in an environment of its own, so it knows the standard library, its system and this folder.
"""
