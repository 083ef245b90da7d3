"""The state that people are shown, derived from a status and what stands around it; every door uses this."""

from dataclasses import dataclass

from taskmonitor.lifecycle import Status
from taskmonitor.models import Job, Step
from taskmonitor.selectors.tree import Counts


@dataclass(frozen=True, slots=True)
class State:
    """How a state is shown: a word, and beside it never colour alone but a shape too."""

    name: str
    icon: str
    css_class: str


RUNNING = State("Running", "spinner", "is-running")
LOST = State("No sign of life", "broken-circle", "is-lost")
FINISHED = State("Finished", "tick", "is-finished")
WARNINGS = State("Finished with warnings", "warning", "is-warning")
FAILED = State("Failed", "cross", "is-failed")
ABORTED = State("Aborted", "stop", "is-aborted")
UNKNOWN = State("Unknown", "question", "is-unknown")

STATES = {
    Status.STARTED: RUNNING,
    Status.FINISHED: FINISHED,
    Status.FAILED: FAILED,
    Status.ABORTED: ABORTED,
    Status.UNKNOWN: UNKNOWN,
}


def of_job(job: Job) -> State:
    """The state of the job. It ended with warnings if a step did badly, however deep; it is lost if it missed its own limit."""
    if job.status == Status.FINISHED and job.steps_bad:
        return WARNINGS
    if job.status == Status.UNKNOWN and (job.heartbeat_limit or job.deadline):
        return LOST
    return of_status(job.status)


def of_step(step: Step, beneath: Counts | None = None) -> State:
    """The state of the step, given how the steps `beneath` it stand, however deep. Open ones of a silent job are as unknown as it."""
    if step.status == Status.STARTED and step.job.status == Status.UNKNOWN:
        return of_job(step.job)
    if step.status == Status.FINISHED and beneath and (beneath.bad or beneath.left):
        return WARNINGS
    return of_status(step.status)


def of_status(status: str) -> State:
    """The state that a status is shown as when nothing else is known."""
    return STATES[Status(status)]
