"""Keeps watch over one program, beside and beyond the worker that has it run.

`start` runs `python -m coordinator.commands.watcher FOLDER`, which leaves a process behind. The folder is all
that this process and the workers know of each other:

    order.json   what to run; there before anything is started
    watcher      who keeps watch; it can be made only once, so of any number that are started one goes on
    work         where the program runs
    output       the end of what it wrote
    ended.json   how it ended
    errors       what went wrong with the watcher itself

The program, and all that it started, die with its watcher, however that happens: none runs that nobody knows of. So
the watcher is two processes, a guard and its child: each ends what is left if the other one is killed.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from coordinator.commands import descendants
from coordinator.whoami import machine, runs, worker_name

ROOT = Path(__file__).parents[2]
MOST_OUTPUT = 16_000  # bytes of output that are kept: the last ones
TICK = 1.0  # seconds between signs of life
GRACE = 10.0  # seconds between SIGTERM and SIGKILL
SILENCE = 60.0  # seconds without a sign of life until a watcher on another machine counts as gone
AFTERMATH = 32  # portions of output that are read after the program's end
CANNOT_RUN = 127  # the exit code of what could not be started, as shells have it
PASSED_ON = ("HOME", "LANG", "LC_ALL", "PATH", "TZ")  # of the worker's environment; the rest has secrets


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: its exit code, or minus the number of a signal; and why it was told to, if it was."""

    code: int
    why: str


# For workers


def start(folder: Path, command: Sequence[str], *, environment: Mapping[str, str], seconds: float) -> None:
    """Have that command run, once, however often this is called for the folder and wherever it was cut off."""
    (folder / "work").mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (folder / "order.json").exists():
        order = {"command": list(command), "environment": dict(environment), "seconds": seconds}
        _write(folder / "order.json", json.dumps(order))
    with (folder / "errors").open("ab") as errors:
        subprocess.run(  # noqa: S603 - ourselves
            [sys.executable, "-m", __name__, str(folder)],
            cwd=ROOT,
            env=passed_on(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
            check=True,
        )


def passed_on() -> dict[str, str]:
    """What of its environment a worker passes on."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ}


def is_known(folder: Path) -> bool:
    """Whether a watcher has made itself known, at any time."""
    return (folder / "watcher").exists()


def is_watched(folder: Path) -> bool:
    """Whether a watcher is there: the program runs, or is about to."""
    try:
        name = (folder / "watcher").read_text()
        silence = time.time() - (folder / "watcher").stat().st_mtime
    except FileNotFoundError:
        return False
    return runs(name) if name.startswith(f"{machine()}/") else silence < SILENCE


def ended(folder: Path) -> Ended | None:
    """How the program ended; None if it has not."""
    try:
        return Ended(**json.loads((folder / "ended.json").read_text()))
    except FileNotFoundError:
        return None


def output(folder: Path) -> str:
    """The end of what the program has written so far."""
    try:
        return (folder / "output").read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return ""


def output_age(folder: Path) -> float:
    """Seconds since the output changed."""
    try:
        return time.time() - (folder / "output").stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def stop(folder: Path) -> None:
    """Have the program ended, by SIGTERM and, if that has not helped after GRACE, by SIGKILL. Does not wait for it."""
    with suppress(FileNotFoundError, ProcessLookupError):
        name = (folder / "watcher").read_text()
        process = os.pidfd_open(int(name.rsplit("/", 2)[1]))
        try:
            if name.startswith(f"{machine()}/") and runs(name):
                signal.pidfd_send_signal(process, signal.SIGTERM)
        finally:
            os.close(process)


# The watcher itself


def main(folder: Path) -> None:
    """Leave a watcher behind; when this returns it has made itself known, or another one had."""
    known, tell = os.pipe()
    if os.fork():
        os.close(tell)
        os.read(known, 1)
        return
    guard = _lead()
    if watcher := os.fork():
        os.close(tell)
        os.waitpid(watcher, 0)
        descendants.kill_all()
        return
    _lead()
    watch = Watch(folder)
    if descendants.follow(guard, signal.SIGTERM) and _is_first(folder):
        os.close(tell)
        watch.run()


def _lead() -> int:
    """Make this process the one that its descendants belong to, out of reach of its parent's signals; its id."""
    os.setsid()
    descendants.adopt()
    return os.getpid()


class Watch:
    """Starts the program and stays until it has ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.order: dict[str, Any] = json.loads((folder / "order.json").read_text())
        self._why = ""
        self._kill_at: float | None = None
        self._tail, self._saved, self._saved_at = b"", b"", 0.0
        signal.signal(signal.SIGTERM, self._on_signal)

    def run(self) -> None:
        """Run the program to its end, and write down how that was."""
        try:
            program = self._begin()
        except OSError as error:
            self._end(CANNOT_RUN, f"It cannot be started: {error.strerror}.")
            return
        assert program.stdout  # noqa: S101 - for the type checker
        exit_seen, pipe = os.pidfd_open(program.pid), program.stdout.fileno()
        deadline = time.monotonic() + self.order["seconds"]
        while True:
            readable = select.select([exit_seen, pipe] if self._reads else [exit_seen], [], [], TICK)[0]
            if pipe in readable:
                self._read(pipe)
            if exit_seen in readable:
                break
            if time.monotonic() > deadline:
                self._why = self._why or f"It took longer than {self.order['seconds']:g} s."
            if self._why:
                self._press(program.pid)
            descendants.reap(beside=program.pid)
            self._save()
        code = program.wait()
        descendants.kill_all()
        for _ in range(AFTERMATH):
            if self._reads and select.select([pipe], [], [], 0)[0]:
                self._read(pipe)
        self._end(code, self._why)

    _reads = True  # whether anybody may still write to the pipe

    def _begin(self) -> subprocess.Popen[bytes]:
        watcher = os.getpid()

        def follow() -> None:
            if not descendants.follow(watcher, signal.SIGKILL):
                os._exit(CANNOT_RUN)

        return subprocess.Popen(  # noqa: S603 - an operator allowed it by name
            self.order["command"],
            cwd=self.folder / "work",
            env=self.order["environment"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
            preexec_fn=follow,
        )

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._why = self._why or "It was stopped."

    def _press(self, group: int) -> None:
        """SIGTERM at first, SIGKILL at last."""
        now = time.monotonic()
        if self._kill_at is None:
            self._kill_at = now + GRACE
            _signal(group, signal.SIGTERM)
        elif now > self._kill_at:
            _signal(group, signal.SIGKILL)

    def _read(self, pipe: int) -> None:
        written = os.read(pipe, 65_536)
        self._reads = bool(written)
        self._tail = (self._tail + written)[-MOST_OUTPUT:]

    def _save(self) -> None:
        """From time to time give a sign of life, and the output if there is more of it."""
        now = time.monotonic()
        if now - self._saved_at < TICK:
            return
        self._saved_at = now
        with suppress(FileNotFoundError):  # nobody wants to know any more
            os.utime(self.folder / "watcher")
            if self._tail != self._saved:
                self._saved = self._tail
                _write(self.folder / "output", self._tail)

    def _end(self, code: int, why: str) -> None:
        with suppress(FileNotFoundError):
            _write(self.folder / "output", self._tail)
            _write(self.folder / "ended.json", json.dumps({"code": code, "why": why}))


def _signal(group: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # it just ended, or became another user's
        os.killpg(group, number)


def _is_first(folder: Path) -> bool:
    """Make this process the folder's watcher, unless it has one."""
    mine = folder / f"watcher.{os.getpid()}"
    _write(mine, worker_name(os.getpid()))
    try:
        (folder / "watcher").hardlink_to(mine)
    except FileExistsError:
        return False
    finally:
        mine.unlink()
    return True


def _write(path: Path, content: str | bytes) -> None:
    """Write the file whole, or not at all, such that a power failure cannot undo it."""
    made = path.with_name(f"{path.name}.{os.getpid()}.new")
    with open(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    made.rename(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
