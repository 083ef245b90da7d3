"""Keeps hold of all processes beneath this one, also of those that leave their group, session or parent (Linux)."""

import ctypes
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
PATIENCE = 10.0  # seconds that they may take to die
LOOK = 0.01  # seconds between looks at who is left

_prctl = ctypes.CDLL(None).prctl  # loaded here, for a new process may load nothing any more


def adopt() -> None:
    """Become the parent of each descendant whose own parent ends."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def follow(parent: int, number: int) -> bool:
    """Have the kernel send this process that signal when its parent ends; False if it has ended already."""
    _prctl(PR_SET_PDEATHSIG, number)
    return os.getppid() == parent


def reap(beside: int = 0) -> None:
    """Let go of children that have ended, until one of them is the process `beside`."""
    with suppress(ChildProcessError):
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid == beside:
                return
            os.waitpid(ended.si_pid, 0)


def kill_all() -> None:
    """Kill all processes beneath this one, which must have adopted them.

    The children of one that was killed are this process's own at the next look. One of another user cannot be
    killed, and is left alone after a while.
    """
    deadline = time.monotonic() + PATIENCE
    while (left := _children()) and time.monotonic() < deadline:
        for process in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        time.sleep(LOOK)
        reap()


def _children() -> list[int]:
    me = str(os.getpid())
    return [int(stat.parent.name) for stat in Path("/proc").glob("[0-9]*/stat") if _parent(stat) == me]


def _parent(stat: Path) -> str:
    """The process id of the parent, which follows the name and the state."""
    try:
        return stat.read_text().rpartition(")")[2].split()[1]
    except (FileNotFoundError, ProcessLookupError):
        return ""
