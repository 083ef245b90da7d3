import pytest

from taskmonitor.errors import TransitionError
from taskmonitor.services import jobs
from tests.factories import NOW, make_actor, make_job, make_step

pytestmark = pytest.mark.django_db


@pytest.mark.mission("S72")
def test_a_job_ends_once() -> None:
    job = make_job()
    jobs.end_job(job_id=job.pk, status="FINISHED", actor=make_actor(), now=NOW)
    jobs.end_job(job_id=job.pk, status="FINISHED", actor=make_actor(), now=NOW)
    with pytest.raises(TransitionError, match=r"is FINISHED since .* and cannot become FAILED"):
        jobs.end_job(job_id=job.pk, status="FAILED", actor=make_actor(), now=NOW)


@pytest.mark.mission("S71")
def test_force_aborts_what_is_open() -> None:
    job = make_job()
    step = make_step(make_step(job).job, parent_step_id=make_step(job).pk)
    jobs.end_job(job_id=job.pk, status="FINISHED", force=True, actor=make_actor(), now=NOW)
    step.refresh_from_db()
    job.refresh_from_db()
    assert (step.status, step.end_time, step.number, step.depth) == ("ABORTED", NOW, 0, 1)
    assert (job.status, job.auto_cleared, job.steps_total, job.steps_open, job.steps_bad) == (
        "FINISHED",
        True,
        3,
        0,
        3,
    )
