"""ansible-playbook, with oVirt's collection as it comes from PyPI."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def play(playbook: Path, collections: Path, environment: dict[str, str], **variables: Any) -> None:
    """Run the playbook; it must succeed."""
    variables["ansible_python_interpreter"] = sys.executable
    program = Path(sys.prefix, "bin", "ansible-playbook")
    settings = {"ANSIBLE_HOME": str(collections), "ANSIBLE_COLLECTIONS_PATH": str(collections)}
    done = subprocess.run(
        [program, playbook, "-c", "local", "-i", "localhost,", "-e", json.dumps(variables)],
        env=os.environ | settings | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
