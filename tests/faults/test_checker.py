"""The checker itself: it is silent on a good run, and states each breach."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.faults.checker import Faults, breaches, unscheduled
from tests.faults.evidence import Evidence

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def command(key: str, **fields: Any) -> dict[str, Any]:
    """One that ended well."""
    return {
        "command_id": key,
        "command_type": "faults.Ending",
        "command_parameters": '{"seconds": 0, "fails": false, "times": 0}',
        "status": "ENDED_SUCCESSFULLY",
        "executed": 1,
        "callback_notified": 1,
        "attempts": 1,
        "children": 0,
        "return_value": f'{{"of":"{key}"}}',
        "error": "",
        "parent_command_id": None,
        "root_command_id": None,
        "position": 0,
        "due_at": None,
        "lease_until": None,
        "worker": "",
        "job_id": "job",
        "step_id": "step",
        "owns_job": 1,
        "created_at": NOW,
        "started_at": NOW,
        "ended_at": NOW + timedelta(seconds=1),
        **fields,
    }


def evidence() -> Evidence:
    """Of one command, shown by one step of one job."""
    work = {"status": "FINISHED", "start_time": NOW, "end_time": NOW, "job_id": "job", "steps_open": 0}
    moved = {"job_id": "job", "verb": "moved", "old_status": "STARTED", "new_status": "FINISHED"}
    added = {"job_id": "job", "verb": "added", "old_status": "", "new_status": "STARTED"}
    effects = ("execute", "executed", "end_successfully", "ended_successfully")
    seen = {"status": "ACTIVE", "executed": False, "callback_notified": False}
    return Evidence(
        commands={"a": command("a")},
        jobs={"job": dict(work)},
        steps={"step": dict(work)},
        events=[
            {**event, "step_id": step, "version": version}
            for version, event in enumerate((added, moved))
            for step in (None, "step")
        ],
        effects=[{"id": "a", "what": what} for what in effects],
        told=[{"told": "submitted", "id": "a"}, {"told": "seen", "id": "a", **seen}],
    )


def test_a_good_run_has_no_breach() -> None:
    assert breaches(evidence(), Faults()) == []
    assert unscheduled(evidence()) == []


def row(**fields: Any) -> Callable[[Evidence], None]:
    return lambda evidence: evidence.commands["a"].update(fields)


def effect(*effects: str) -> Callable[[Evidence], None]:
    return lambda evidence: evidence.effects.extend({"id": "a", "what": what} for what in effects)


def no_effect(what: str) -> Callable[[Evidence], None]:
    def leave_out(evidence: Evidence) -> None:
        evidence.effects = [line for line in evidence.effects if line["what"] != what]

    return leave_out


def forget_that_it_was_executed(evidence: Evidence) -> None:
    evidence.told.append(evidence.told[-1] | {"executed": True})
    evidence.commands["a"]["executed"] = 0


BREACHES: list[tuple[str, Callable[[Evidence], Any]]] = [
    ("I1", lambda evidence: evidence.commands.clear()),
    ("I1", lambda evidence: evidence.told.append({"told": "delivered", "id": "a"})),
    ("I1", forget_that_it_was_executed),
    ("I2", row(executed=0)),
    ("I2", effect("execute")),
    ("I2", effect("executed")),
    ("I2", no_effect("executed")),
    ("I2", row(attempts=2)),
    ("I2", effect("ended_with_failure")),
    ("I2", effect("end_successfully", "ended_successfully")),
    ("I2", no_effect("ended_successfully")),
    ("I2", row(callback_notified=0)),
    ("I2", row(return_value=None)),
    ("I2", row(return_value='{"of":"b"}')),
    ("I2", row(status="ENDED_WITH_FAILURE")),
    ("I2", row(error="A restart cut it off while it executed.")),
    ("I2", row(children=1)),
    ("I3", lambda evidence: evidence.told.append({**evidence.told[-1], "status": "NOT_STARTED"})),
    ("I3", row(started_at=NOW + timedelta(days=1))),
    ("I3", lambda evidence: evidence.steps["step"].update(status="STARTED", end_time=None)),
    ("I3", lambda evidence: evidence.jobs["job"].update(end_time=NOW - timedelta(days=1))),
    ("I3", lambda evidence: evidence.events.append(evidence.events[-1])),
    ("I4", row(status="ACTIVE")),
    ("I4", row(status="UNKNOWN")),
    ("I4", row(due_at=NOW)),
    ("I4", row(lease_until=NOW)),
    ("I6", lambda evidence: evidence.damage.append("row 1 missing from index")),
    ("I6", lambda evidence: evidence.steps.clear()),
    ("I6", row(parent_command_id="b")),
    ("I6", lambda evidence: evidence.effects.append({"id": "b", "what": "execute"})),
    ("I6", lambda evidence: evidence.jobs["job"].update(steps_open=1)),
]


@pytest.mark.parametrize(("invariant", "spoil"), BREACHES)
def test_each_breach_is_stated(invariant: str, spoil: Callable[[Evidence], Any]) -> None:
    spoiled = evidence()
    spoil(spoiled)
    assert [line for line in breaches(spoiled, Faults()) if line.startswith(invariant)]


def test_what_nobody_will_look_at_again_is_stated() -> None:
    spoiled = evidence()
    row(status="ACTIVE")(spoiled)
    assert unscheduled(spoiled)


def test_a_torn_body_may_be_there_once_more_but_not_after_it_was_kept() -> None:
    torn = evidence()
    torn.commands["a"].update(command_type="faults.Resumable", attempts=2)
    torn.effects = [{"id": "a", "what": what} for what in ("part0", "part0", "kept0", "executed")]
    assert breaches(torn, Faults(tears=1)) == []
    assert breaches(torn, Faults()) != []
    torn.effects.append({"id": "a", "what": "part0"})
    assert breaches(torn, Faults(tears=2)) != []
