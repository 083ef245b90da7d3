"""Which jobs somebody sees, and the pages of a list."""

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet

from taskmonitor import text_index
from taskmonitor.errors import Invalid, NotFound
from taskmonitor.models import Actor, Job, JobEntity, Right, Step
from taskmonitor.selectors.expressions import like
from taskmonitor.statements import Filtered, Prepared, planned_afresh

_ASKED_OF_CAUSES = ("id", "description", "depth", "reason")
_OF_CAUSES = [
    f"first_cause__{field.name}" for field in Step._meta.concrete_fields if field.name not in _ASKED_OF_CAUSES
]
_JOB = Prepared(
    lambda key: Job.objects.select_related("owner", "first_cause").defer(*_OF_CAUSES).filter(pk=key)
)
_STEP = Prepared(lambda job, key: Step.objects.select_related("job").filter(job=job, pk=key))
_UNASKED = ("cleared_at", "last_sign", "stale_at", "text_id")  # for by any list
_UNASKED_OF_OWNERS = ("password", "last_login", "date_joined", "is_active", "is_staff", "is_superuser")
_NOT_READ = (*_UNASKED, *(f"owner__{name}" for name in _UNASKED_OF_OWNERS), *_OF_CAUSES)
_JOBS = Filtered(lambda: Job.objects.select_related("owner", "first_cause").defer(*_NOT_READ))
_PLACES = Filtered(lambda: Job.objects.only("start_time"))  # with the key, as indexes have them

EVERYBODYS = Q(cleared_at=None)


def visible(actor: Actor, *, own_only: bool = False) -> Q:
    """What lists show: what is not cleared, and the actor's to see."""
    if own_only or not actor.may(Right.VIEW_ALL):
        return EVERYBODYS & Q(owner=actor.user_id)
    return EVERYBODYS


def listed(actor: Actor) -> QuerySet[Job]:
    """The jobs that lists show."""
    return Job.objects.filter(visible(actor))


def job(job_id: UUID, actor: Actor) -> Job:
    """The job, cleared or not; NotFound also for one that the actor may not see."""
    found = _JOB.first(job_id)
    if found is None or not actor.sees(found):
        raise NotFound("Job", job_id)
    return found


def step(job_id: UUID, step_id: UUID, actor: Actor) -> Step:
    """The step of that job; NotFound also for a step of another job."""
    found = _STEP.first(job_id, step_id)
    if found is None or not actor.sees(found.job):
        raise NotFound("Step", step_id)
    return found


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a list by start time: right behind this job."""

    start_time: datetime
    job_id: UUID

    @classmethod
    def behind(cls, job: Job) -> Self:
        return cls(job.start_time, job.pk)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The cursor that `str` wrote; Invalid for any other text."""
        try:
            start_time, _, job_id = base64.urlsafe_b64decode(text.encode()).decode().partition(" ")
            return cls(datetime.fromisoformat(start_time).astimezone(UTC), UUID(job_id))
        except (ValueError, OverflowError):
            raise Invalid("after", "is not a position that this server gave; begin without it.") from None

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(f"{self.start_time.isoformat()} {self.job_id}".encode()).decode()


EVERYTHING = Q()
FEW = 2_000  # jobs, up to which it is better to take the ones there are than to walk down a list
MARGIN = 15  # jobs that may have to be left out because others of the same second are not seen yet
MOST_PLACES = 2_000  # that one look into the index of texts gives
FARTHEST = 10_000  # jobs that a bounded part looks at, and that a page number may pass over


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a list that a database finds in order, and quickly whether it is large, small or empty.

    An `entity`, by its key, or a `text` of descriptions, in which `*` stands for any text, says where to look;
    a part that is `few` is looked for at once and sorted then. A filter that no index helps is `bounded`: it
    looks at the newest jobs only.
    """

    where: Q = EVERYTHING
    entity: int | None = None
    text: str | None = None
    few: bool = False
    bounded: bool = False

    def __and__(self, other: Self) -> Self:
        where = self.where & other.where
        if self.entity and other.entity:
            where &= other.on_entity()
        if self.text and other.text:
            where &= other.with_text()
        return type(self)(
            where,
            self.entity or other.entity,
            self.text or other.text,
            self.few or other.few,
            self.bounded or other.bounded,
        )

    def filter(self) -> Q:
        """The part as a filter, to be used in any order."""
        return self.where & self.on_entity() & self.with_text()

    def on_entity(self) -> Q:
        if not self.entity:
            return EVERYTHING
        return Q(Exists(JobEntity.objects.filter(job=OuterRef("pk"), entity=self.entity)))

    def with_text(self) -> Q:
        return like("description", self.text) if self.text else EVERYTHING


ALL = (Part(),)


def page(
    seen: Q,
    *,
    limit: int,
    after: Cursor | None = None,
    oldest_first: bool = False,
    offset: int = 0,
    any_of: Sequence[Part] = ALL,
) -> tuple[list[Job], Cursor | None]:
    """At most `limit` jobs behind `after`, newest first unless told, and where the next page begins, if any.

    The jobs are those `seen` in any of the parts; their owners come along. Each part is asked for by itself,
    since no database walks several indexes at once in the order of the list. What the `offset` passes over
    is read too.
    """
    with planned_afresh():
        found = _merged(
            [_Walk(seen, part, after, oldest_first).first(offset + limit + 1) for part in any_of],
            oldest_first,
        )
    found = found[offset : offset + limit + 1]
    more = len(found) > limit > 0
    return found[:limit], Cursor.behind(found[limit - 1]) if more else None


def every(
    seen: Q,
    *,
    oldest_first: bool = False,
    size: int = 500,
    offset: int = 0,
    any_of: Sequence[Part] = ALL,
) -> Iterator[list[Job]]:
    """All of the list from `offset` on, in pages, so that neither memory nor a transaction grows with it."""
    found, cursor = page(seen, limit=size, oldest_first=oldest_first, offset=offset, any_of=any_of)
    yield found
    while cursor:
        found, cursor = page(seen, limit=size, after=cursor, oldest_first=oldest_first, any_of=any_of)
        yield found


def _merged(lists: list[list[Job]], oldest_first: bool) -> list[Job]:
    if len(lists) == 1:
        return lists[0]
    jobs = {job.pk: job for found in lists for job in found}.values()
    return sorted(jobs, key=lambda job: (job.start_time, job.pk), reverse=not oldest_first)


class _Walk:
    """One part of a list, in order from one place on."""

    def __init__(self, seen: Q, part: Part, after: Cursor | None, oldest_first: bool) -> None:
        self.seen, self.part, self.after, self.oldest_first = seen, part, after, oldest_first

    def first(self, number: int) -> list[Job]:
        """The first jobs of the part, as many as there are and no more than asked for."""
        part = self.part
        if part.few:
            return self.sorted(number)
        expression = text_index.expression(part.text) if part.text else ""
        if part.entity or expression:
            narrowed = self.seen & part.where
            if narrowed != EVERYBODYS and is_few(narrowed, ("start_time", "id")):  # some index has that order
                return self.sorted(number)
            if part.entity and not (expression and self.is_long_history()):
                return self.of_entity(number)
            if text_index.is_there():
                return self.with_text(expression, number)
        where = part.filter()
        if part.bounded:
            where &= _newest(self.seen)
        return self.found(where, number)

    def found(self, where: Q, number: int, time: str = "start_time", key: str = "id") -> list[Job]:
        """What meets `where`, in the order of these fields."""
        order = (time, key) if self.oldest_first else (f"-{time}", f"-{key}")
        return _JOBS.all(self.seen & where & self.behind(time, key), order, stop=number)

    def sorted(self, number: int) -> list[Job]:
        """By finding all first; SQLite would rather follow an index that is in order already, however long."""
        how = "__computed" if connection.vendor == "sqlite" else ""
        return self.found(self.part.filter(), number, f"start_time{how}", f"id{how}")

    def is_long_history(self) -> bool:
        return JobEntity.objects.filter(entity=self.part.entity)[: FEW + 1].count() > FEW

    def of_entity(self, number: int) -> list[Job]:
        """By the entity's history, which is in the order of the list."""
        where = self.part.where & self.part.with_text() & Q(jobentity__entity=self.part.entity)
        return self.found(where, number, "jobentity__start_time", "jobentity__job_id")

    def with_text(self, expression: str, number: int) -> list[Job]:
        """By the index of texts, which is in the order of the list but for what starts in one second."""
        found: list[Job] = []
        rest = self.seen & self.part.filter() & self.behind("start_time", "id")
        behind, size = self.first_place(), number + MARGIN
        while True:
            places = text_index.places(expression, behind=behind, oldest_first=self.oldest_first, limit=size)
            found += _JOBS.all(rest & Q(text_id__among=places))
            if len(places) < size or sum(map(self.is_before(places[-1]), found)) >= number:
                return _merged([found, []], self.oldest_first)[:number]
            behind, size = places[-1], min(4 * size, MOST_PLACES)

    def first_place(self) -> int | None:
        if self.after is None:
            return None
        if self.oldest_first:
            return text_index.before_second(self.after.start_time)
        return text_index.before_second(self.after.start_time + timedelta(seconds=1)) + 1

    def is_before(self, place: int) -> Callable[[Job], bool]:
        """Whether a job stands in the list before all whose places come behind `place`."""
        second = text_index.second_of(place)
        if self.oldest_first:
            return lambda job: job.start_time.timestamp() < second
        return lambda job: job.start_time.timestamp() >= second + 1

    def behind(self, time: str, key: str) -> Q:
        if self.after is None:
            return EVERYTHING
        word = "gt" if self.oldest_first else "lt"
        return Q(**{f"{time}__{word}e": self.after.start_time}) & (  # lets the index begin at the right place
            Q(**{f"{time}__{word}": self.after.start_time})
            | Q(**{time: self.after.start_time, f"{key}__{word}": self.after.job_id})
        )


def is_few(where: Q, order: tuple[str, ...] = ()) -> bool:
    """Whether FEW jobs at most meet it; the order is that of the index that finds them."""
    return not _PLACES.all(where, order, start=FEW, stop=FEW + 1)


def keys(where: Q) -> list[UUID]:
    """Of the jobs that meet it."""
    return [job.pk for job in _PLACES.all(where)]


def _newest(seen: Q) -> Q:
    """Cuts the jobs down to the newest, if there are very many."""
    last = _PLACES.all(seen, ("-start_time", "-id"), start=FARTHEST, stop=FARTHEST + 1)
    return Q(*(Q(start_time__gte=job.start_time) for job in last))
