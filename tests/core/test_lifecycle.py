"""The automaton: drawn, stated and walked."""

import re

import pytest

from taskmonitor.errors import Invalid, TransitionError
from taskmonitor.lifecycle import ENDED, LIVE, Lifecycle, Status
from taskmonitor.models import Job, Step, StepType
from taskmonitor.services import jobs, steps
from tests.factories import NOW, make_actor, make_job, make_step


def drawn(model: type[Lifecycle]) -> set[tuple[str, str]]:
    """The transitions that the docstring draws, as pairs."""
    lines = re.findall(r"^ *([A-Z]+) -> ([A-Z |]+)$", model.__doc__ or "", re.MULTILINE)
    return {(source, target) for source, targets in lines for target in targets.split(" | ")}


def stated(model: type[Lifecycle]) -> set[tuple[str, str]]:
    return {(source.value, target.value) for source, ts in model.TRANSITIONS.items() for target in ts}


@pytest.mark.parametrize("model", [Lifecycle, Job, Step])
def test_the_drawing_is_the_automaton(model: type[Lifecycle]) -> None:
    assert drawn(model) == stated(model)


@pytest.mark.mission("S4", "S5", "S6")
def test_there_are_the_five_statuses_and_the_types_of_the_design() -> None:
    assert set(Status.values) == {"STARTED", "FINISHED", "FAILED", "ABORTED", "UNKNOWN"}
    assert {"VALIDATING", "EXECUTING", "FINALIZING"} == set(StepType.values) - {"UNKNOWN"}


def test_every_status_can_be_reached_and_only_an_end_is_final() -> None:
    reached, front = set(), {"STARTED"}
    while front:
        reached |= front
        front = {target for source, target in stated(Job) if source in front} - reached
    assert reached == set(Status.values)
    assert set(Status.values) - {source for source, _ in stated(Job)} == set(ENDED)
    for source in LIVE:
        assert {(source.value, end.value) for end in ENDED} <= stated(Job)


@pytest.mark.django_db
@pytest.mark.parametrize("source", Status.values)
@pytest.mark.parametrize("target", Status.values)
@pytest.mark.parametrize("model", [Job, Step])
def test_a_row_moves_along_the_automaton_and_in_no_other_way(
    model: type[Job | Step], source: str, target: str
) -> None:
    job = make_job()
    row = job if model is Job else make_step(job)
    model.objects.filter(pk=row.pk).update(status=source)
    if (source, target) in stated(model):
        row.move(Status(target))
    else:
        with pytest.raises(TransitionError):
            row.move(Status(target))
    row.refresh_from_db()
    assert row.status == (target if (source, target) in stated(model) else source)


@pytest.mark.django_db
@pytest.mark.mission("S4", "S5")
@pytest.mark.parametrize("status", ["STARTED", "UNKNOWN", "finished", "", "DONE", "FINISHED "])
def test_work_ends_as_finished_failed_or_aborted_only(status: str) -> None:
    job = make_job()
    step = make_step(job)
    with pytest.raises(Invalid, match="status"):
        jobs.end_job(job_id=job.pk, status=status, actor=make_actor(), now=NOW)
    with pytest.raises(Invalid, match="status"):
        steps.end_step(job_id=job.pk, step_id=step.pk, status=status, actor=make_actor(), now=NOW)


@pytest.mark.django_db
@pytest.mark.mission("S5", "S6")
@pytest.mark.parametrize("field", ["type", "status"])
@pytest.mark.parametrize("value", ["bogus", "", "executing", "DONE"])
def test_a_step_of_another_type_or_status_is_refused(field: str, value: str) -> None:
    job = make_job()
    with pytest.raises(Invalid, match=field):
        make_step(job, **{field: value})
    assert not job.steps.exists()
