"""Names of workers, such that whoever is on the same machine can tell whether one still runs."""

import os
import socket
from functools import cache
from pathlib import Path


def worker_name(pid: int) -> str:
    """The name of that process: its machine, its id there, and when it began, so that no other ever has it."""
    return f"{machine()}/{pid}/{began(pid)}"


def runs(name: str) -> bool:
    """Whether the worker of that name runs; of one on another machine nobody knows, so it does."""
    where, pid, since = name.rsplit("/", 2)
    return where != machine() or began(int(pid)) == since


@cache
def machine() -> str:
    """This machine, and what of its processes is seen from here: containers may share a host's name."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    return f"{socket.gethostname()[:63]}/{boot}/{os.stat('/proc/self/ns/pid').st_ino}"


def began(pid: int) -> str:
    """Clock ticks from the machine's start to the process's; empty if it does not run."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if state == "Z" else fields[18]


def call_myself(name: str) -> None:
    """Have this process shown by that name, of 15 letters at most, where processes are listed (`ps -o comm`)."""
    Path("/proc/self/comm").write_text(name)
