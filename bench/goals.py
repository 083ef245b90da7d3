"""Which of the goals are reached (docs/performance.md): each a figure of ours beside its bound."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bench.report import DJANGO, LIMIT, OURS, Row, ratio
from bench.systems import DBOS, DJANGO_Q2, PROCRASTINATE


@dataclass(frozen=True, slots=True)
class Goal:
    """The worst of a figure of some rows against a bound: at least, or at most."""

    name: str
    case: str
    figure: Callable[[Sequence[Row], Row], float | None]
    bound: float
    at_least: bool = False
    database: str = ""
    situation: str = ""
    but: str = "\0"

    def told(self, rows: Sequence[Row]) -> str:
        """One line, or none if nothing of it was measured."""
        found = [value for row in self.mine(rows) if (value := self.figure(rows, row)) is not None]
        if not found:
            return ""
        worst = min(found) if self.at_least else max(found)
        reached = worst >= self.bound if self.at_least else worst <= self.bound
        sign = ">=" if self.at_least else "<="
        return f"| {self.name} | {sign} {self.bound:g} | {worst:.2f} | {'yes' if reached else 'no'} |"

    def mine(self, rows: Iterable[Row]) -> Iterable[Row]:
        for row in rows:
            ours = row.case == self.case and row.target.startswith(OURS) and self.database in row.database
            if ours and row.situation.startswith(self.situation) and self.but not in row.situation:
                yield row


def of(key: str, floor: str) -> Callable[[Sequence[Row], Row], float | None]:
    return lambda rows, row: ratio(rows, row, key, floor)


def plain(key: str) -> Callable[[Sequence[Row], Row], float | None]:
    return lambda rows, row: row.figures.get(key)


def by(key: str, other: str) -> Callable[[Sequence[Row], Row], float | None]:
    """One figure of a row by another of it."""
    return lambda rows, row: row.figures[key] / row.figures[other]


EIGHT = "8 clients"
GOALS = [
    Goal("G1 W1 c8 SQLite, rate of limit", "W1", of("rate", LIMIT), 0.30, True, "sqlite", EIGHT),
    Goal("G1 W1 c8 SQLite, rate of bare Django", "W1", of("rate", DJANGO), 1.0, True, "sqlite", EIGHT),
    Goal("G2 W1 c8 SQLite, p99 of limit", "W1", of("p99", LIMIT), 2.0, False, "sqlite", EIGHT),
    Goal("G2 W1 errors", "W1", plain("errors"), 0),
    Goal("G3 W1 c8 SQLite, CPU of limit (18 / 3.5)", "W1", of("cpu", LIMIT), 5.1, False, "sqlite", EIGHT),
    Goal("G4 W1 c8 PostgreSQL, rate of limit", "W1", of("rate", LIMIT), 0.5, True, "postgres", EIGHT),
    Goal("G5 W2 REST p50 ms", "W2", plain("p50"), 5.0, but="page"),
    Goal("G5 W2 page p50 ms", "W2", plain("p50"), 15.0, situation="page"),
    Goal("G5 W2 growth to the largest", "W2", plain("growth"), 1.2),
    Goal("G6 W3 read p50 ms", "W3", plain("p50"), 15.0),
    Goal("G6 W3 build s", "W3", plain("build"), 2.0),
    Goal("G7 W4 SQLite, rate of limit", "W4", of("rate", LIMIT), 0.4, True, "sqlite"),
    Goal("G7 W4 SQLite, rate of django-q2", "W4", of("rate", DJANGO_Q2), 3.0, True, "sqlite"),
    Goal("G7 W4 SQLite, rate of DBOS", "W4", of("rate", DBOS), 5.0, True, "sqlite"),
    Goal("G7 W4 SQLite, CPU ms", "W4", plain("cpu"), 2.5, False, "sqlite"),
    Goal("G7 W4 SQLite, families at the rate of commands", "W4", by("tree", "rate"), 1.0, True, "sqlite"),
    Goal("G8 W4 PostgreSQL, rate of limit", "W4", of("rate", LIMIT), 0.5, True, "postgres"),
    Goal("G8 W4 PostgreSQL, rate of procrastinate", "W4", of("rate", PROCRASTINATE), 1.0, True, "postgres"),
    Goal("G8 W4 PostgreSQL, rate of DBOS", "W4", of("rate", DBOS), 1.25, True, "postgres"),
    Goal("G9 W4 start p50 ms", "W4", plain("p50"), 10.0),
    Goal("G9 W4 start p99 ms", "W4", plain("p99"), 50.0),
    Goal("G10 W4R never done", "W4R", plain("never"), 0),
    Goal("G10 W4R done twice", "W4R", plain("twice"), 1),
    Goal("G10 W4R first start s", "W4R", plain("first"), 1.0),
    Goal("G10 W4R all done, s more than the work", "W4R", plain("more"), 2.0),
    Goal("G11 W5 1,000 CPU %", "W5", plain("cpu"), 2.0, False, "sqlite", "1,000"),
    Goal("G11 W5 10,000 CPU %", "W5", plain("cpu"), 8.0, False, "sqlite", "10,000"),
    Goal("G11 W5 100,000 CPU %", "W5", plain("cpu"), 40.0, False, "sqlite", "100,000"),
    Goal("G11 W5 polls done %", "W5", plain("done"), 99.9, True),
    Goal("G11 W5 gap p99 s", "W5", plain("p99"), 11.0),
    Goal("G12 W6 first 200 s", "W6", plain("first"), 1.0),
    Goal("G12 W6 idle PSS MB", "W6", plain("pss"), 120),
    Goal("G12 W6 idle CPU %", "W6", plain("cpu"), 0.5),
    Goal("W7 change on an open page, p95 ms", "W7", plain("p95"), 1000),
]


def text(rows: Sequence[Row]) -> str:
    """The goals as a table in Markdown; bounds in ms and s are those of the reference machine."""
    lines = [line for goal in GOALS if (line := goal.told(rows))]
    return "\n".join(
        ["## Goals", "", "| goal | bound | worst | reached |", "| --- | ---: | ---: | --- |", *lines]
    )
