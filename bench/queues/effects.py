"""What the commands do in every system: lines in a log, which outlive any crash of who wrote them."""

import os
import struct
import time
from functools import cache
from pathlib import Path

SLOW = 0.02  # seconds that a slow command takes
KEPT = 0.2  # seconds that a process keeps polls until it writes them down
POLL = struct.Struct("<Id")  # which, and when

_polls = bytearray()
_written = 0.0


def no_op(number: int) -> None:
    _write("effects", f"begun {number} {time.time()}\n".encode())
    _write("effects", f"ended {number} {time.time()}\n".encode())


def slow(number: int) -> None:
    _write("effects", f"begun {number} {time.time()}\n".encode())
    time.sleep(SLOW)
    _write("effects", f"ended {number} {time.time()}\n".encode())


def poll(number: int) -> None:
    global _written
    now = time.time()
    _polls.extend(POLL.pack(number, now))
    if now > _written + KEPT:
        _write("polls", bytes(_polls))
        _polls.clear()
        _written = now


def read(folder: Path) -> list[tuple[str, int, float]]:
    """What was begun and ended, which and when, in that order."""
    lines = (folder / "effects").read_text().splitlines()
    return [(what, int(number), float(time_)) for what, number, time_ in map(str.split, lines)]


def read_polls(folder: Path) -> list[tuple[int, float]]:
    """Which was polled when; the last ones of each process may not be written yet."""
    return list(POLL.iter_unpack((folder / "polls").read_bytes()))


def folder() -> Path:
    return Path(os.environ["BENCH_EFFECTS"])


def _write(name: str, data: bytes) -> None:
    os.write(_file(name), data)


@cache
def _file(name: str) -> int:
    return os.open(folder() / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
