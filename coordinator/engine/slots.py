"""What workers are at, in memory that they share with those who watch them: no lock, one writer for each part.

A worker that is killed, or that does nothing but compute, keeps nobody from reading what it wrote last.
"""

import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from time import monotonic
from uuid import UUID

from coordinator.engine.queue import Claim
from coordinator.whoami import began, machine

_PARENT = Struct("=iqiB")  # process id, when it began, how it ended, state: written in this order
_WORKER = Struct("=I16sQdd")  # count of writes, command, fencing number, begun at, seconds that it may take
_BEAT = Struct("@d")
_WATCH = Struct(
    "=IBI"
)  # the call, by its count of writes, that was ended, and why; the one behind which nothing waits
_SIZE = 128
_WORKER_AT, _WATCH_AT = 32, 112
_NOTHING = bytes(16)


class State(IntEnum):
    FREE = 0  # no worker
    RUNNING = 1
    DEAD = 2  # a worker that has ended; what it held is still to be made due


class Why(IntEnum):
    """Why the watch ended a worker."""

    NOTHING = 0
    LIMIT = 1  # its call took longer than its limit, and paid no heed
    SUPERSEDED = 2  # its command was not its own any more, and it paid no heed


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a command's own code."""

    number: int
    claim: Claim
    began: float  # monotonic, which is the same for all processes of a machine
    seconds: float  # that it may take


class Slot:
    """The part of one worker."""

    def __init__(self, memory: mmap.mmap, number: int) -> None:
        self._memory, self._start = memory, number * _SIZE
        self.number = number

    # Written by the sentinel, who starts workers

    def started(self, pid: int) -> None:
        _PARENT.pack_into(self._memory, self._start, pid, int(began(pid) or 0), 0, State.RUNNING)

    def ended(self, exit_code: int) -> None:
        pid, began_at, _, _ = self._parent
        _PARENT.pack_into(self._memory, self._start, pid, began_at, exit_code, State.DEAD)

    # Written by the watch once the database knows of the end, when nobody else writes

    def free(self) -> None:
        self._memory[self._start : self._start + _SIZE] = bytes(_SIZE)

    @property
    def state(self) -> State:
        return State(self._parent[3])

    @property
    def pid(self) -> int:
        return self._parent[0]

    @property
    def name(self) -> str:
        """The worker's name, as it stands in the column `worker` of the commands that it holds."""
        return f"{machine()}/{self._parent[0]}/{self._parent[1]}"

    @property
    def exit_code(self) -> int:
        return self._parent[2]

    @property
    def _parent(self) -> tuple[int, int, int, int]:
        pid, began_at, code, state = _PARENT.unpack_from(self._memory, self._start)
        return pid, began_at, code, state

    # Written by the worker

    def begin(self, claim: Claim, seconds: float) -> int:
        """The worker is at that command from now on, and may take so many seconds; the call's number."""
        return self._write(claim[0].bytes, claim[1], seconds)

    def end(self, number: int) -> bool:
        """That call is over; whether nothing that waited for its turn meanwhile is the worker's own any more."""
        self._write(_NOTHING, 0, 0)
        return self._watched[2] == number

    def _write(self, command: bytes, fence: int, seconds: float) -> int:
        """An odd count says that a write has begun; who reads then looks again."""
        at = self._start + _WORKER_AT
        count: int = _WORKER.unpack_from(self._memory, at)[0]
        count = (count + 1) % 2**32
        self._memory[at : at + 4] = count.to_bytes(4, "little")
        _WORKER.pack_into(self._memory, at, count, command, fence, monotonic(), seconds)
        count = (count + 1) % 2**32
        self._memory[at : at + 4] = count.to_bytes(4, "little")
        return count

    def call(self) -> Call | None:
        """What the worker is at; None if at nothing of a command's, or if it is just writing."""
        at = self._start + _WORKER_AT
        count, command, fence, began, seconds = _WORKER.unpack_from(self._memory, at)
        again = _WORKER.unpack_from(self._memory, at)[0]
        if count % 2 or again != count or command == _NOTHING:
            return None
        return Call(count, (UUID(bytes=command), fence), began, seconds)

    # Written by the watch

    def ends(self, call: Call, why: Why) -> None:
        """Take note that the worker is ended because of that call."""
        _WATCH.pack_into(self._memory, self._start + _WATCH_AT, call.number, why, self._watched[2])

    def why_ended(self, call: Call) -> Why:
        number, why, _ = self._watched
        return Why(why) if number == call.number else Why.NOTHING

    def give_back_behind(self, call: Call) -> bool:
        """Take from the worker what waits behind that call; False if the call is over, and it has gone on.

        Each side writes what it does before it reads what the other one does, so that never both take a command
        for theirs.
        """
        number, why, _ = self._watched
        _WATCH.pack_into(self._memory, self._start + _WATCH_AT, number, why, call.number)
        return self.call() == call

    @property
    def _watched(self) -> tuple[int, int, int]:
        ended, why, behind = _WATCH.unpack_from(self._memory, self._start + _WATCH_AT)
        return ended, why, behind


class Slots:
    """One slot for each worker of a cluster, and the heartbeat of the watch; made before anything is forked."""

    def __init__(self, count: int) -> None:
        self._memory = mmap.mmap(-1, max(_SIZE * (count + 1), os.sysconf("SC_PAGE_SIZE")))
        self._slots = [Slot(self._memory, number) for number in range(count)]
        self._beat_at = count * _SIZE

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._slots)

    def __getitem__(self, number: int) -> Slot:
        return self._slots[number]

    def beat(self) -> None:
        """The watch is alive now."""
        _BEAT.pack_into(self._memory, self._beat_at, monotonic())

    def silence(self) -> float:
        """Seconds since the watch was last alive."""
        at: float = _BEAT.unpack_from(self._memory, self._beat_at)[0]
        return monotonic() - at
