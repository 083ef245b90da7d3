"""The list of jobs, and its fragments."""

from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Self
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Q
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone

from taskmonitor import feed
from taskmonitor.errors import Invalid
from taskmonitor.models import Actor, Right
from taskmonitor.pages import rows
from taskmonitor.pages.doors import fragment, page
from taskmonitor.pages.rows import JobRow
from taskmonitor.selectors import jobs, search
from taskmonitor.selectors.columns import COLUMNS, containing
from taskmonitor.selectors.jobs import Cursor, Part
from taskmonitor.selectors.search import Search
from taskmonitor.selectors.state import STATES
from taskmonitor.services.text import checked

SIZES = (25, 50, 100)
USUAL_SIZE = 50


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is cut down to, as its address says it."""

    status: str = ""
    external: str = ""
    owner: str = ""
    text: str = ""
    search: str = ""

    @classmethod
    def of(cls, query: QueryDict) -> Self:
        return cls(**{name: query.get(name, "").strip() for name in cls.__slots__})

    def __bool__(self) -> bool:
        return any(asdict(self).values())

    def parse(self, actor: Actor) -> Search:
        """What they ask for; Invalid, naming what is wrong."""
        for name, value in asdict(self).items():
            checked(name, value, longest=2000)
        asked = search.parse(self.search)
        for column in ("status", "external", "owner"):
            value = getattr(self, column)
            if (column, value) == ("owner", "me"):
                asked = asked.also((Part(Q(owner=actor.user_id)),))
            elif value:
                asked = asked.also(COLUMNS[column](column, "=", value))
        return asked.also(containing(self.text)) if self.text else asked

    def query(self, **more: object) -> str:
        """The part of an address that says the same, and `more`."""
        said = {name: value for name, value in asdict(self).items() if value}
        return urlencode(said | {name: str(value) for name, value in more.items()})

    def chips(self) -> list[tuple[str, str]]:
        """Each filter in words, and the address without it."""
        return [
            (f"{name}: {value}", "?" + replace(self, **{name: ""}).query())
            for name, value in asdict(self).items()
            if value
        ]


@dataclass(frozen=True, slots=True)
class Place:
    """Which page of a list: right behind a position or in front of one, or else the first."""

    size: int
    after: str
    before: str

    @classmethod
    def of(cls, query: QueryDict) -> Self:
        size = query.get("size", "")
        return cls(
            size=int(size) if size in map(str, SIZES) else USUAL_SIZE,
            after=query.get("after", ""),
            before=query.get("before", ""),
        )


@dataclass(slots=True)
class Listing:
    """One page of a list, and where the pages beside it begin."""

    rows: list[JobRow] = field(default_factory=list)
    older: str = ""
    newer: str = ""
    live: bool = False  # jobs that begin now belong on top of it
    problem: str = ""
    empty: str = ""  # if there are no rows, why


@page()
def job_list(request: HttpRequest, actor: Actor) -> HttpResponse:
    return render(request, "taskmonitor/job_list.html", _context(request, actor, timezone.now()))


@fragment
def job_list_rows(request: HttpRequest, actor: Actor) -> HttpResponse:
    return render(request, "taskmonitor/_job_rows.html", _context(request, actor, timezone.now()))


@fragment
def job_row(request: HttpRequest, actor: Actor, job_id: UUID) -> HttpResponse:
    """One row of the list with the same filters; greyed if these no longer hold for the job."""
    job = jobs.job(job_id, actor)
    where = Filters.of(request.GET).parse(actor).where
    left = job.cleared_at is not None or bool(
        where and not jobs.listed(actor).filter(where, pk=job_id).exists()
    )
    return HttpResponse(rows.job_row(job, timezone.now(), left=left).html)


def _context(request: HttpRequest, actor: Actor, now: datetime) -> dict[str, Any]:
    filters = Filters.of(request.GET)
    place = Place.of(request.GET)
    position = feed.last()
    try:
        listing = _listing(actor, filters, place, now)
    except Invalid as error:
        listing = Listing(problem=str(error), empty="problem")
    return {
        "listing": listing,
        "filters": filters,
        "filter_query": filters.query(),
        "statuses": [(status.value, shown) for status, shown in STATES.items()],
        "sizes": [(each, "?" + filters.query(size=each), each == place.size) for each in SIZES],
        "size": place.size,
        "position": position,
        "now": now,
        "sees_all": actor.may(Right.VIEW_ALL),
        "injects": actor.may(Right.INJECT),
    }


def _listing(actor: Actor, filters: Filters, place: Place, now: datetime) -> Listing:
    asked = filters.parse(actor)
    seen = jobs.visible(actor)
    after = place.after
    if place.before:
        found, more = jobs.page(
            seen,
            limit=place.size,
            after=Cursor.parse(place.before),
            oldest_first=not asked.oldest_first,
            any_of=asked.any_of,
        )
        if more:
            return _beside(filters, place, rows.job_rows(found[::-1], now), older=True, newer=True)
        after = ""
    found, rest = jobs.page(
        seen,
        limit=place.size,
        after=Cursor.parse(after) if after else None,
        oldest_first=asked.oldest_first,
        offset=0 if after else asked.offset(place.size),
        any_of=asked.any_of,
    )
    listing = _beside(filters, place, rows.job_rows(found, now), older=rest is not None, newer=bool(after))
    listing.live = not (after or asked.oldest_first or asked.page > 1)
    if not found:
        listing.empty = _why_empty(actor, filters, bool(after))
    return listing


def _beside(filters: Filters, place: Place, shown: list[JobRow], *, older: bool, newer: bool) -> Listing:
    """The rows, and the addresses of the pages beside them."""
    sized = {} if place.size == USUAL_SIZE else {"size": place.size}
    return Listing(
        shown,
        older="?" + filters.query(after=shown[-1].cursor, **sized) if older and shown else "",
        newer="?" + filters.query(before=shown[0].cursor, **sized) if newer and shown else "",
    )


def _why_empty(actor: Actor, filters: Filters, behind_the_end: bool) -> str:
    if behind_the_end:
        return "end"
    if filters and jobs.listed(actor).exists():
        return "filter"
    if not actor.may(Right.VIEW_ALL) and not actor.may(Right.INJECT):
        return "right"
    return "none"
