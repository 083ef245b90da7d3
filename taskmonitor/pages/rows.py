"""The rows of the tree of work, as lists, job pages and live updates show them alike."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, lru_cache, partial
from typing import Any
from uuid import UUID

from django.template.loader import render_to_string
from django.urls import reverse

from taskmonitor.models import Job, Step
from taskmonitor.selectors import entities, state, tree
from taskmonitor.selectors.entities import Where
from taskmonitor.selectors.jobs import Cursor
from taskmonitor.selectors.state import State
from taskmonitor.selectors.tree import Counts

LEVEL_SIZE = 50  # steps of one level loaded at once
OPENED = 16  # levels that a page opens by itself; rows beneath are indented no further
IN_FRONT = 5  # siblings shown in front of a step far down its level


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

    @property
    def reason(self) -> str:
        """Why it failed, as its first cause says or else the job itself."""
        cause = self.job.first_cause
        return (cause.reason if cause else "") or self.job.reason

    @property
    def cause_address(self) -> str:
        return address(self.job, self.job.first_cause) if self.job.first_cause else ""

    @property
    def other_causes(self) -> int:
        return self.job.causes - 1


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step, at its place in the tree that a page shows: `level` is its aria-level."""

    step: Step
    job: Job
    state: State
    beneath: Counts | None
    level: int
    siblings: int
    is_open: bool = False

    @property
    def open(self) -> int:
        """How many steps beneath it go on: the next ones, or once it has ended all that it left open."""
        if self.beneath is None:
            return 0
        return self.beneath.left if self.step.ended else self.beneath.open

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
    last: int
    earlier: int = 0  # left in front of them, if that is to be said


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
    return Level(job, parent_step_id, level, rows, max(siblings - 1 - last, 0), after, last)


def opened(job: Job, path: Sequence[Step]) -> list[Level]:
    """The tree of the job as it is open along the path of steps from the top, in parts, as they are read.

    A level begins with the first step, or else a few steps in front of the one that the path goes through.
    """
    above: list[Level] = []
    behind: list[Level] = []
    parent = None
    for depth, step in enumerate(path[:OPENED], start=1):
        after = -1 if step.number < LEVEL_SIZE else step.number - IN_FRONT - 1
        whole = step_level(job, parent, level=depth, after=after)
        whole = replace(whole, earlier=after + 1)
        above.append(whole)
        place = next((place for place, row in enumerate(whole.rows) if row.step.pk == step.pk), None)
        if place is None or depth == min(len(path), OPENED):
            break
        row = replace(whole.rows[place], is_open=True)
        above[-1] = replace(whole, rows=[*whole.rows[:place], row], left=0)
        behind.append(replace(whole, rows=whole.rows[place + 1 :], earlier=0))
        parent = step.pk
    return [*above, *reversed(behind)]


def address(job: Job, step: Step) -> str:
    """Where the step is shown among the others; one that stands too deep for that has its own page."""
    if step.depth >= OPENED:
        return reverse("step_detail", args=[job.pk, step.pk])
    return f"{reverse('job_detail', args=[job.pk])}?step={step.pk}#step-{step.pk}"


def shortened(above: Sequence[Step]) -> dict[str, Any]:
    """The steps above another one, as far as there is room: the first and the last ones."""
    if len(above) <= 6:
        return {"outer": above}
    return {"outer": above[:2], "folded": len(above) - 5, "inner": above[-3:]}


def step_row(job: Job, step: Step, *, level: int) -> StepRow:
    """The row of one step; two queries."""
    return _step_rows(job, [step], level, tree.size(job, step.parent_step_id))[0]


def _step_rows(job: Job, steps: list[Step], level: int, siblings: int) -> list[StepRow]:
    beneath = tree.counts(job, steps) if steps else {}
    return [
        StepRow(step, job, state.of_step(step, beneath.get(step.pk)), beneath.get(step.pk), level, siblings)
        for step in steps
    ]
