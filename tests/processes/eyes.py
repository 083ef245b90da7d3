"""What the system says of processes, and waiting for it to say something else."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tests.live import Site

Seen = TypeVar("Seen")


def eventually(look: Callable[[], Seen], seconds: float = 60) -> Seen:
    """What `look` sees, once it is not nothing; the machine may be busy."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)
    return seen


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def descendants(pid: int) -> list[int]:
    return [each for child in children(pid) for each in [child, *descendants(child)]]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def web_and_cluster(site: Site) -> tuple[int, int]:
    """Their ids, once both run: a cluster has four workers, a monitor and a watch beneath it."""
    clusters = eventually(lambda: [pid for pid in children(site.process.pid) if len(children(pid)) >= 6])
    [web] = eventually(lambda: [pid for pid in children(site.process.pid) if pid not in clusters])
    return web, clusters[0]


def memory(pid: int) -> int:
    """Bytes that only this process has."""
    found = re.search(r"^Private_Dirty: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
    assert found
    return int(found[1]) * 1024


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))
