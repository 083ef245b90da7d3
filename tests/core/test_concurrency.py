"""Many threads with a connection each, on one job: one winner, no gap, no loss, no deadlock."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from taskmonitor.errors import TaskMonitorError, TransitionError
from taskmonitor.models import AuditEntry, Entity, Event, Job, Role
from taskmonitor.services import access, jobs, steps
from taskmonitor.services.jobs import EntityName
from tests.factories import NOW, make_actor, make_job, make_role, make_step, make_user

pytestmark = pytest.mark.django_db(transaction=True)


def in_threads(number: int, work: Callable[[int], object]) -> list[object]:
    """What `work(0)`, `work(1)`, … gave or raised, all begun at the same moment."""
    outcomes: list[object] = [None] * number
    barrier = threading.Barrier(number)

    def run(index: int) -> None:
        try:
            barrier.wait()
            outcomes[index] = work(index)
        except Exception as problem:  # noqa: BLE001 - the test looks at what it was
            outcomes[index] = problem
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[index]) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads), "a deadlock"
    return outcomes


def assert_counted(job: Job) -> None:
    job.refresh_from_db()
    rows = list(job.steps.values_list("status", "end_time"))
    assert (job.steps_total, job.steps_open, job.steps_bad) == (
        len(rows),
        sum(end_time is None for _, end_time in rows),
        sum(status in ("FAILED", "ABORTED") for status, _ in rows),
    )


@pytest.mark.mission("S59")
def test_8_writers_number_siblings_without_gaps() -> None:
    job, actor = make_job(), make_actor()
    parent = make_step(job)

    def add_20(writer: int) -> None:
        for turn in range(20):
            make_step(job, actor, parent_step_id=parent.pk if (writer + turn) % 2 else None)

    assert in_threads(8, add_20) == [None] * 8
    numbers = [step.number for step in job.steps.filter(parent_step=None).order_by("number")]
    below = [step.number for step in parent.sub_steps.order_by("number")]
    assert (numbers, below) == (list(range(81)), list(range(80)))
    assert_counted(job)
    assert (job.version, Event.objects.filter(job=job).count()) == (162, 162)


@pytest.mark.mission("S72")
def test_of_32_threads_that_end_a_step_in_different_ways_one_wins() -> None:
    job, actor = make_job(), make_actor()
    step = make_step(job)
    wanted = ["FINISHED", "FAILED", "ABORTED"]

    def end(index: int) -> str:
        return steps.end_step(
            job_id=job.pk, step_id=step.pk, status=wanted[index % 3], actor=actor, now=NOW
        ).status

    outcomes = in_threads(32, end)
    step.refresh_from_db()
    for index, outcome in enumerate(outcomes):
        if wanted[index % 3] == step.status:
            assert outcome == step.status
        else:
            assert isinstance(outcome, TransitionError)
    assert Event.objects.filter(step_id=step.pk, verb="moved").count() == 1
    assert_counted(job)


@pytest.mark.mission("S72")
def test_a_job_ends_once_while_others_add_end_and_beat() -> None:
    job, actor = make_job(heartbeat_limit=60), make_actor()
    for _ in range(10):
        make_step(job)
    keys = list(job.steps.values_list("pk", flat=True))

    def meddle(index: int) -> object:
        dice = random.Random(index)
        for _ in range(15):
            common: dict[str, Any] = {"job_id": job.pk, "actor": actor, "now": NOW}
            try:
                match dice.choice(["add", "end", "end", "beat", "progress", "finish"] if index else ["add"]):
                    case "add":
                        make_step(job, actor, parent_step_id=dice.choice([None, *keys]))
                    case "end":
                        steps.end_step(**common, step_id=dice.choice(keys), status="FAILED", force=True)
                    case "beat":
                        jobs.heartbeat(**common)
                    case "progress":
                        steps.report_progress(**common, step_id=dice.choice(keys), current=1)
                    case "finish":
                        if dice.random() < 0.1:
                            jobs.end_job(**common, status=dice.choice(["FINISHED", "FAILED"]))
            except TaskMonitorError:
                pass
        return "done"

    assert in_threads(8, meddle) == ["done"] * 8
    assert_counted(job)
    ended = Event.objects.filter(job=job, step_id=None, verb="moved").count()
    assert ended == (1 if job.ended else 0)
    moves = Counter(Event.objects.filter(job=job, verb="moved").values_list("step_id", flat=True))
    assert set(moves.values()) <= {1}


def test_jobs_on_the_same_entities_in_opposite_order_do_not_deadlock() -> None:
    actor = make_actor()
    named = [EntityName("vm", f"web-{number}") for number in range(5)]

    def add(index: int) -> object:
        for _ in range(5):
            make_job(actor, entities=named if index % 2 else named[::-1])
        return "done"

    assert in_threads(8, add) == ["done"] * 8
    assert (Entity.objects.count(), Job.objects.count()) == (5, 40)


def test_a_transaction_begun_elsewhere_waits_for_no_writer_that_waits_for_it() -> None:
    """As in the admin, whose views begin their own: a service within must not queue behind the others."""
    actor, user = make_actor(), make_user("somebody")
    make_role(Role.INJECTOR)

    def work(index: int) -> object:
        if index % 2:
            make_job(actor)
            return "done"
        with transaction.atomic():
            User.objects.filter(pk=user.pk).update(first_name=str(index))
            access.grant_role(role=Role.INJECTOR, users=[user], actor=actor, now=NOW)
        return "done"

    assert in_threads(8, work) == ["done"] * 8
    assert AuditEntry.objects.filter(subject="somebody").count() == 1


def test_of_two_tokens_with_one_name_one_is_made() -> None:
    user = make_user("somebody")
    actor = make_actor(user)

    def make(_: int) -> object:
        return access.add_token(
            user_id=user.pk, name="ci", scope=["read"], expires=None, actor=actor, now=NOW
        )[0].name

    outcomes = in_threads(8, make)
    assert outcomes.count("ci") == 1
    assert sum("already" in str(outcome) for outcome in outcomes) == 7
