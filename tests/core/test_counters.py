"""Whatever happens to a job, its counters say what its steps say, and nothing moves but what should."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskmonitor.errors import TaskMonitorError
from taskmonitor.lifecycle import ENDED
from taskmonitor.models import Event, Job
from taskmonitor.services import jobs, steps
from tests.factories import NOW, make_actor, make_job

BAD = ("FAILED", "ABORTED")
ends = st.sampled_from(ENDED)
place = st.integers(0, 30)  # which of the steps there are, modulo their number
operations = st.one_of(
    st.tuples(
        st.just("add"),
        st.none() | place,
        st.sampled_from(["STARTED", "STARTED", "STARTED", "UNKNOWN", *ENDED]),
    ),
    st.tuples(st.just("end_step"), place, ends, st.booleans(), st.booleans()),
    st.tuples(st.just("progress"), st.none() | place),
    st.tuples(st.just("heartbeat")),
    st.tuples(st.just("lose")),
    st.tuples(st.just("clear")),
    st.tuples(st.just("end_job"), ends, st.booleans()),
)


@dataclass
class Model:
    """What the designs say, as plainly as can be: each method is one operation, False if it must be refused."""

    status: str = "STARTED"
    cleared: bool = False
    parents: list[int | None] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)
    causes: list[int] = field(default_factory=list)

    def alive(self) -> bool:
        if self.status in ENDED:
            return False
        if self.status == "UNKNOWN":
            self.status, self.cleared = "STARTED", False
        return True

    def close(self, status: str, steps: list[int]) -> None:
        for step in steps:
            if self.statuses[step] not in ENDED:
                self.statuses[step] = status

    def beneath(self, step: int) -> list[int]:
        children = [i for i, parent in enumerate(self.parents) if parent == step]
        return children + [deeper for child in children for deeper in self.beneath(child)]

    def above(self, step: int) -> list[int]:
        parent = self.parents[step]
        return [] if parent is None else [parent, *self.above(parent)]

    def fail(self, step: int) -> None:
        """Make the step a cause if none beneath it FAILED, in the place of one above it if there is."""
        if any(self.statuses[other] == "FAILED" for other in self.beneath(step)):
            return
        fallen = [other for other in self.above(step) if other in self.causes]
        if fallen:
            self.causes[self.causes.index(fallen[0])] = step
        else:
            self.causes.append(step)

    def add(self, parent: int | None, status: str) -> bool:
        if self.status in ENDED or (parent is not None and self.statuses[parent] in ENDED):
            return False
        self.alive()
        self.parents.append(parent)
        self.statuses.append(status)
        if status == "FAILED":
            self.fail(len(self.statuses) - 1)
        return True

    def end_step(self, step: int, status: str, force: bool, fails_job: bool) -> bool:
        if self.statuses[step] in ENDED:
            return self.statuses[step] == status
        self.alive()
        self.statuses[step] = status
        if status == "FAILED":
            self.fail(step)
        if force:
            self.close("ABORTED", self.beneath(step))
        if fails_job and status == "FAILED":
            self.end_job("FAILED", False)
        return True

    def progress(self, step: int | None) -> bool:
        if self.status in ENDED or (step is not None and self.statuses[step] in ENDED):
            return False
        self.alive()
        if step is not None:
            self.statuses[step] = "STARTED"
        return True

    def heartbeat(self) -> bool:
        return self.alive()

    def lose(self) -> bool:
        if self.status != "STARTED":
            return False
        self.status = "UNKNOWN"
        return True

    def clear(self) -> bool:
        self.cleared = self.status != "STARTED"
        return True

    def end_job(self, status: str, force: bool) -> bool:
        if self.status in ENDED:
            return self.status == status
        self.status, self.cleared = status, False
        self.close("ABORTED" if force else status, list(range(len(self.statuses))))
        return True


@pytest.mark.django_db
@pytest.mark.mission("S1", "S51", "S59", "S60", "S71", "S72")
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(operations, max_size=25))
def test_counters_versions_and_statuses_agree_with_the_model(sequence: list[tuple[Any, ...]]) -> None:
    actor = make_actor()
    model = Model()
    job = make_job(actor, heartbeat_limit=1)
    keys: list[Any] = []
    for tick, (name, *given_arguments) in enumerate(sequence, start=1):
        now = NOW + timedelta(minutes=tick)
        arguments = list(given_arguments)
        if name in ("add", "end_step", "progress") and arguments[0] is not None:
            if not keys:
                continue
            arguments[0] %= len(keys)
        key = (
            keys[arguments[0]]
            if name in ("add", "end_step", "progress") and arguments[0] is not None
            else None
        )
        common: dict[str, Any] = {"job_id": job.pk, "actor": actor, "now": now}
        before = Job.objects.get(pk=job.pk)
        events = Event.objects.filter(job=job).count()
        try:
            match name:
                case "add":
                    made = steps.add_step(
                        **common, description="d", type="EXECUTING", parent_step_id=key, status=arguments[1]
                    )
                    keys.append(made.pk)
                case "end_step":
                    steps.end_step(
                        **common, step_id=key, status=arguments[1], force=arguments[2], fails_job=arguments[3]
                    )
                case "progress":
                    steps.report_progress(**common, step_id=key, text="on it")
                case "heartbeat":
                    jobs.heartbeat(**common)
                case "lose":
                    jobs.lose_job(job_id=job.pk, reason="silence", now=now)
                case "clear":
                    jobs.clear_job(**common)
                case "end_job":
                    jobs.end_job(**common, status=arguments[0], force=arguments[1])
            allowed = True
        except TaskMonitorError:
            allowed = False
        assert allowed == getattr(model, name)(*arguments), (name, arguments)

        after = Job.objects.get(pk=job.pk)
        wrote = Event.objects.filter(job=job).count() > events
        assert (after.version > before.version) == wrote
        assert after.last_updated == (now if wrote else before.last_updated)
        if not allowed:
            assert not wrote

    after = Job.objects.get(pk=job.pk)
    found = {step.pk: step for step in after.steps.all()}
    assert [found[key].status for key in keys] == model.statuses
    assert (after.status, after.cleared_at is not None) == (model.status, model.cleared)
    assert (after.steps_total, after.steps_open, after.steps_bad) == (
        len(keys),
        sum(status not in ENDED for status in model.statuses),
        sum(status in BAD for status in model.statuses),
    )
    causes = [step for step in found.values() if step.cause is not None]
    assert [step.pk for step in sorted(causes, key=lambda step: step.cause or 0)] == [
        keys[step] for step in model.causes
    ]
    assert (after.causes, after.first_cause_id) == (
        len(model.causes),
        keys[model.causes[0]] if model.causes else None,
    )
    for step in found.values():
        assert (step.end_time is not None) == (step.status in ENDED)
    for parent in {None, *model.parents}:
        siblings = [found[keys[i]].number for i, above in enumerate(model.parents) if above == parent]
        assert siblings == list(range(len(siblings)))
    newest = Event.objects.filter(job=job).order_by("position").last()
    assert newest is not None
    assert newest.version == after.version
