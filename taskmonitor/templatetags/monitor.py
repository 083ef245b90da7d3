"""How instants, lengths of time and states are written."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from taskmonitor.lifecycle import Status
from taskmonitor.logs import known
from taskmonitor.models import Job
from taskmonitor.models.job import Work
from taskmonitor.pages.amounts import amount
from taskmonitor.pages.bidi import isolated, matched
from taskmonitor.pages.refusals import way_back
from taskmonitor.selectors.state import State
from taskmonitor.version import VERSION

register = template.Library()


@register.simple_tag
def version() -> str:
    """Which Task Monitor this is."""
    return VERSION


@register.simple_tag
def request_id() -> str:
    """Under which the log has this request."""
    return str(known().get("request_id", ""))


@register.simple_tag(takes_context=True)
def back(context: Any) -> str:
    """The page that led here, if it was one of ours."""
    return way_back(context["request"]) if "request" in context else ""


@register.simple_tag
def icon(name: str) -> SafeString:
    """A drawing of `_icons.html`, which a word beside it explains."""
    return format_html(
        '<svg class="icon" width="16" height="16" aria-hidden="true"><use href="#icon-{}"></use></svg>', name
    )


@register.simple_tag
def state(shown: State) -> SafeString:
    return format_html(
        '<span class="state {}">{}<span class="word">{}</span></span>',
        shown.css_class,
        icon(shown.icon),
        shown.name,
    )


@register.simple_tag
def moment(value: datetime | None, now: datetime) -> SafeString:
    """The instant as short as it is clear beside `now`, the whole of it in the title."""
    if value is None:
        return SafeString("<span>never</span>")
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', value.isoformat(), absolute(value), short(value, now)
    )


@register.simple_tag
def took(work: Work, job: Job, now: datetime) -> SafeString:
    """How long the job or a step of it took, or has taken so far, which the page then keeps counting.

    Of a silent job nobody knows more than that it lasted until its last sign.
    """
    if work.end_time is None and job.status == Status.UNKNOWN:
        return format_html(
            '<span title="until the last sign of life; what came after is not known">{}+</span>',
            duration(job.last_sign - work.start_time),
        )
    return lasted(work.start_time, work.end_time, now)


@register.simple_tag
def lasted(start: datetime, end: datetime | None, now: datetime) -> SafeString:
    """How long it was from `start` to `end`; or is until now, which the page then keeps counting."""
    if end:
        return format_html("<span>{}</span>", duration(end - start))
    return format_html('<span data-since="{}">{}</span>', start.isoformat(), duration(now - start))


@register.filter
def bdi(text: object) -> SafeString:
    """A text of users, beside which our own words stay in their order."""
    return format_html("<bdi>{}</bdi>", matched(text)) if text else SafeString("")


@register.filter
def isolate(text: object) -> str:
    """As `bdi`, in an attribute or a title."""
    return isolated(text) if text else ""


register.filter(amount)


@register.filter
def absolute(value: datetime) -> str:
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def short(value: datetime, now: datetime) -> str:
    value, now = value.astimezone(UTC), now.astimezone(UTC)
    if value.date() == now.date():
        return f"{value:%H:%M:%S}"
    if value.year == now.year:
        return f"{value.day} {value:%b %H:%M}"
    return f"{value:%Y-%m-%d}"


def duration(length: timedelta) -> str:
    """As people say it, in the two largest units; static/clock.js writes the same."""
    seconds = max(length.total_seconds(), 0)
    if seconds < 1:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} m"
    return f"{whole // 86400} d {whole % 86400 // 3600:02} h"
