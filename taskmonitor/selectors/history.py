"""What happened to a job, newest first, for people to read."""

from dataclasses import dataclass
from uuid import UUID

from taskmonitor.models import Event, Job, Step, Verb


@dataclass(slots=True)
class Happening:
    """One event; or several reports of progress of one thing with nothing else between them, read as one."""

    event: Event
    first: int  # the position of the oldest of them, which stays when more are added
    times: int = 1
    step: Step | None = None


@dataclass(frozen=True, slots=True)
class History:
    """A part of the history, and the position that the part before it ends in front of, if there is one."""

    happenings: list[Happening]
    before: int | None


def of_job(job: Job, *, limit: int, before: int | None = None) -> History:
    """The newest `limit` events of the job, or of those in front of the position `before`."""
    events = Event.objects.filter(job=job).order_by("-position")
    if before is not None:
        events = events.filter(position__lt=before)
    found = list(events[: limit + 1])
    happenings = _joined(found[:limit])
    steps = Step.objects.in_bulk({h.event.step_id for h in happenings if h.event.step_id})
    for happening in happenings:
        happening.step = steps.get(happening.event.step_id) if happening.event.step_id else None
    return History(happenings, found[limit - 1].position if len(found) > limit else None)


def _joined(events: list[Event]) -> list[Happening]:
    happenings = []
    running: dict[UUID | None, Happening] = {}
    for event in events:
        if event.verb != Verb.PROGRESSED:
            running = {}
        elif event.step_id in running:
            running[event.step_id].times += 1
            running[event.step_id].first = event.position
            continue
        happening = Happening(event, event.position)
        happenings.append(happening)
        if event.verb == Verb.PROGRESSED:
            running[event.step_id] = happening
    return happenings
