"""What a run measures, how long, and where."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.databases import Database
from bench.servers import Server


@dataclass(frozen=True, slots=True)
class Plan:
    """One run."""

    kinds: tuple[str, ...]  # of databases
    folder: Path
    rounds: int
    seconds: float  # of a round of W1
    clients: tuple[int, ...]
    sizes: tuple[int, ...]  # of W2, in jobs
    reads: int  # of one list or tree in a round
    idle: float  # seconds that W6 watches a server at rest
    changes: int  # of W7
    commands: int = 5_000  # of W4; a fifth as many of W4R
    paced: int = 100
    sleepers: tuple[int, ...] = (1_000, 10_000, 100_000)
    watched: float = 60.0  # seconds that W5 watches them
    peers: bool = True  # of W4 and W4R

    def with_(self, **given: Any) -> "Plan":
        """The same but for what is given; None gives nothing."""
        return replace(self, **{name: value for name, value in given.items() if value is not None})

    @contextmanager
    def servers(self, case: str, *names: str, sizes: tuple[int, ...] = (0,)) -> Iterator[list[Server]]:
        """Servers of these names on each kind of database and for each number of jobs, all of them at once."""
        running: list[Server] = []
        try:
            for kind in self.kinds:
                for jobs in sizes:
                    pattern = Database.create(kind, f"pattern_{jobs}", self.folder).prepare(jobs=jobs)
                    for name in names:
                        label = f"{case}_{name}_{jobs}"
                        database = Database.create(kind, label, self.folder, like=pattern)
                        running.append(Server.start(name, database))
                    pattern.drop()
            for server in running:
                server.wait()
            time.sleep(2)  # the workers start
            yield running
        finally:
            for server in running:
                server.stop()
                server.database.drop()
