"""The rows of the tree of work, as lists, job pages and live updates show them alike."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, lru_cache, partial
from uuid import UUID

from django.template.loader import render_to_string

from taskmonitor.models import Job, Step
from taskmonitor.selectors import entities, state, tree
from taskmonitor.selectors.entities import Where
from taskmonitor.selectors.jobs import Cursor
from taskmonitor.selectors.state import State
from taskmonitor.selectors.tree import Counts

LEVEL_SIZE = 50  # steps of one level loaded at once


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job in a list, at `now`. It `left` if the list's filters no longer hold for it.

    Rows with equal `looks` look the same, to everybody.
    """

    job: Job = field(compare=False)
    places: Callable[[], dict[UUID, Where]] = field(compare=False)  # asked if the row is written anew
    now: datetime = field(compare=False)
    left: bool
    looks: tuple[object, ...]

    @property
    def state(self) -> State:
        return state.of_job(self.job)

    @property
    def where(self) -> Where | None:
        return self.places().get(self.job.pk)

    @property
    def html(self) -> str:
        return _html(self)

    @property
    def cursor(self) -> Cursor:
        return Cursor.behind(self.job)

    @property
    def steps_over(self) -> int:
        return self.job.steps_total - self.job.steps_open


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step, at its place in the tree that a page shows: `level` is its aria-level."""

    step: Step
    job: Job
    state: State
    beneath: Counts | None
    level: int
    siblings: int

    @property
    def indent(self) -> int:
        """As `level`, but only as deep as there is room for."""
        return min(self.level, 16)


@dataclass(frozen=True, slots=True)
class Level:
    """Some of the steps right under a job or step, and how many are left behind them."""

    job: Job
    parent_step_id: UUID | None
    level: int
    rows: list[StepRow]
    left: int
    after: int

    @property
    def last(self) -> int:
        return self.rows[-1].step.number


def job_rows(jobs: Sequence[Job], now: datetime, *, left: bool = False) -> list[JobRow]:
    """The rows of the jobs; one query, and none if all were written before."""
    places = cache(partial(entities.where, [job.pk for job in jobs]))
    return [JobRow(job, places, now, left, _looks(job, now)) for job in jobs]


def job_row(job: Job, now: datetime, *, left: bool) -> JobRow:
    """The row of one job; one query, and none if it was written before."""
    return job_rows([job], now, left=left)[0]


def _looks(job: Job, now: datetime) -> tuple[object, ...]:
    today = now.astimezone(UTC).date()
    shown_until = today if job.ended else int(now.timestamp())  # a live one says how long it has taken
    return job.pk, job.version, job.owner_name, shown_until


@lru_cache(maxsize=1000)
def _html(row: JobRow) -> str:
    """A change is fetched by every open page at once, and most rows of a list are as they were."""
    return render_to_string("taskmonitor/_job_row.html", {"row": row, "now": row.now})


def step_level(job: Job, parent_step_id: UUID | None, *, level: int, after: int = -1) -> Level:
    """The next steps right under the job or a step, behind the number `after`; three queries."""
    steps = tree.level(job, parent_step_id, limit=LEVEL_SIZE, after=after)
    siblings = tree.size(job, parent_step_id)
    rows = _step_rows(job, steps, level, siblings)
    last = steps[-1].number if steps else after
    return Level(job, parent_step_id, level, rows, max(siblings - 1 - last, 0), after)


def step_row(job: Job, step: Step, *, level: int) -> StepRow:
    """The row of one step; two queries."""
    return _step_rows(job, [step], level, tree.size(job, step.parent_step_id))[0]


def _step_rows(job: Job, steps: list[Step], level: int, siblings: int) -> list[StepRow]:
    beneath = tree.sub_step_counts(steps) if steps else {}
    return [
        StepRow(step, job, state.of_step(step, beneath.get(step.pk)), beneath.get(step.pk), level, siblings)
        for step in steps
    ]
