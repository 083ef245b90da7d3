"""What processes cost, as Linux counts it in /proc."""

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Memory:
    """Megabytes of some processes: PSS counts a page shared by n of them once, RSS n times."""

    pss: float
    rss: float


def tree(root: int) -> set[int]:
    """The process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        if fields := _stat(int(entry.name)):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = set(), [root]
    while waiting:
        found.add(pid := waiting.pop())
        waiting += children.get(pid, [])
    return found


def kill(root: int) -> None:
    """kill -9 of the process and then of its descendants, so that it cannot start any anew."""
    found = tree(root)
    for pid in (root, *(found - {root})):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def cpu(pids: Iterable[int]) -> float:
    """Seconds of CPU that the processes, and children of theirs that have ended, have used."""
    return sum(sum(map(int, fields[11:15])) for pid in pids if (fields := _stat(pid))) / _TICKS


def memory(pids: Iterable[int]) -> Memory:
    pss = rss = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        except OSError:
            continue  # it has ended
        sizes = {name: int(rest.split()[0]) for name, rest in (line.split(":", 1) for line in lines)}
        pss, rss = pss + sizes["Pss"], rss + sizes["Rss"]
    return Memory(pss / 1024, rss / 1024)


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat behind the name, which may hold blanks; none if it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
