import pytest

from taskmonitor.lifecycle import Status
from taskmonitor.models import Job, Step
from taskmonitor.selectors import state
from taskmonitor.selectors.tree import Counts
from tests.factories import NOW


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"status": "STARTED"}, "Running"),
        ({"status": "STARTED", "steps_bad": 1}, "Running"),
        ({"status": "FINISHED"}, "Finished"),
        ({"status": "FINISHED", "steps_bad": 1}, "Finished with warnings"),
        ({"status": "FAILED", "steps_bad": 1}, "Failed"),
        ({"status": "ABORTED"}, "Aborted"),
        ({"status": "UNKNOWN"}, "Unknown"),
        ({"status": "UNKNOWN", "heartbeat_limit": 60}, "No sign of life"),
        ({"status": "UNKNOWN", "deadline": NOW}, "No sign of life"),
    ],
)
@pytest.mark.mission("D11", "D13")
def test_the_shown_state_of_a_job(fields: dict[str, object], shown: str) -> None:
    assert state.of_job(Job(**fields)).name == shown


@pytest.mark.parametrize(
    ("status", "beneath", "shown"),
    [
        ("FINISHED", None, "Finished"),
        ("FINISHED", Counts(total=2, ok=2), "Finished"),
        ("FINISHED", Counts(total=2, ok=1, bad=1), "Finished with warnings"),
        ("FINISHED", Counts(total=2, ok=1, open=1, left=1), "Finished with warnings"),
        ("FAILED", Counts(total=2, bad=2), "Failed"),
        ("UNKNOWN", None, "Unknown"),
    ],
)
@pytest.mark.mission("D10")
def test_the_shown_state_of_a_step(status: str, beneath: Counts | None, shown: str) -> None:
    assert state.of_step(Step(status=status, job=Job()), beneath).name == shown


@pytest.mark.parametrize(
    ("status", "limit", "shown"),
    [
        ("STARTED", None, "Unknown"),
        ("STARTED", 60, "No sign of life"),
        ("FINISHED", 60, "Finished"),
        ("FAILED", None, "Failed"),
    ],
)
def test_an_open_step_of_a_silent_job_is_as_unknown_as_it(status: str, limit: int | None, shown: str) -> None:
    assert state.of_step(Step(status=status, job=Job(status="UNKNOWN", heartbeat_limit=limit))).name == shown


@pytest.mark.mission("S4", "S5")
def test_every_status_is_shown_in_a_way_of_its_own() -> None:
    shown = [state.of_status(status) for status in Status]
    every = [*shown, state.WARNINGS, state.LOST]
    for unlike in ("name", "icon", "css_class"):
        assert len({getattr(each, unlike) for each in every}) == len(every)
