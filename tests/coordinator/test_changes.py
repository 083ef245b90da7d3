"""What two looks at the commands, one after the other, differ in."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.utils import timezone

from coordinator import changes, operators
from coordinator.engine.queue import claim
from coordinator.models import CommandEntity
from coordinator.testing import Worker
from taskmonitor.models import Right
from taskmonitor.services import site
from tests.coordinator.commands import Family, Plain, Polled, Waiting
from tests.factories import make_actor, make_user

pytestmark = pytest.mark.django_db
S = timedelta(seconds=1)


@pytest.fixture
def worker(db: None) -> Worker:
    Polled.polls = 0
    return Worker()


class Looker:
    """One who looks again and again, at the worker's time."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.seen = changes.look(worker.now)

    def news(self) -> set[tuple[UUID, bool]] | None:
        """Which commands have changed since the last call, and whether each is new; None if any may have."""
        before, self.seen = self.seen, changes.look(self.worker.now)
        found = changes.changes(before, self.seen)
        return None if found is None else {(change.command_id, change.added) for change in found}


def test_nothing_is_told_of_what_is_as_it_was(worker: Worker) -> None:
    worker.submit(Waiting)
    worker.turn()
    looker = Looker(worker)
    assert looker.news() == set()


def test_each_thing_that_happens_to_a_command_is_seen(worker: Worker) -> None:
    looker = Looker(worker)
    polled = worker.submit(Polled, times=3).command_id
    assert looker.news() == {(polled, True)}
    claim(worker.now, worker="testing/0/0", limit=10)
    assert looker.news() == {(polled, False)}
    worker.turn(3600)  # the lease of whoever claimed it has run out
    assert looker.news() == {(polled, False)}
    while not CommandEntity.objects.get(pk=polled).ended:
        worker.turn(10)
        assert looker.news() == {(polled, False)}
    CommandEntity.objects.all().delete()
    assert looker.news() == {(polled, False)}
    assert looker.news() == set()


@pytest.mark.parametrize(
    "field", ["fence", "attempts", "children", "poll_delay", "executed", "callback_notified"]
)
def test_a_change_that_pages_show_is_seen_though_nothing_else_changes(worker: Worker, field: str) -> None:
    handle = worker.submit(Waiting)
    looker = Looker(worker)
    CommandEntity.objects.update(**{field: 7 if field not in ("executed", "callback_notified") else True})
    assert looker.news() == {(handle.command_id, False)}


def test_what_operators_and_events_do_is_seen(worker: Worker) -> None:
    handle = worker.submit(Waiting)
    worker.turn()
    looker = Looker(worker)
    operator = make_actor(make_user("operator"), Right.VIEW_ALL, Right.CONTROL)
    told = {(handle.command_id, False)}
    for operation in (operators.poll_now, operators.mark_failed):
        worker.now += S
        operation(command_id=handle.command_id, reason="test", actor=operator, now=worker.now)
        assert looker.news() == told
    other = worker.submit(Waiting)
    worker.turn()
    looker.news()
    worker.now += S
    worker.deliver(other, "abc")
    assert looker.news() == {(other.command_id, False)}


def test_one_that_came_and_ended_between_two_looks_is_seen(worker: Worker) -> None:
    looker = Looker(worker)
    handle = worker.submit(Plain)
    worker.turn()
    assert worker.row(handle).ended
    assert looker.news() == {(handle.command_id, True)}


def test_it_says_who_may_see_it_and_what_it_belongs_to(worker: Worker) -> None:
    before = changes.look(worker.now)
    owner = make_actor(make_user("owner"), *Right)
    handle = worker.submit(Family, actor=owner, times=1)
    worker.turn()
    found = {change.command_id: change for change in changes.changes(before, changes.look(worker.now)) or []}
    root = found.pop(handle.command_id)
    [child] = found.values()
    assert (root.root_command_id, root.user_id) == (None, owner.user_id)
    assert root.job_id == worker.row(handle).job_id is not None
    assert (child.root_command_id, child.user_id) == (handle.command_id, owner.user_id)


def test_more_live_ones_than_a_look_reads_are_known_to_be_there(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "LIVE", 3)
    commands = []
    for _ in range(4):
        worker.now += S
        commands.append(worker.submit(Waiting).command_id)
    looker = Looker(worker)
    assert looker.seen.partial
    assert list(looker.seen.live.rows) == commands[:0:-1]
    CommandEntity.objects.filter(pk=commands[0]).update(attempts=7)
    assert looker.news() == set()
    worker.now += S
    newest = worker.submit(Waiting).command_id
    assert looker.news() == {(newest, True)}  # not the one that it pushed out
    CommandEntity.objects.filter(pk=newest).update(ended_at=worker.now, due_at=None)
    assert looker.news() == {(newest, False), (commands[1], True)}
    CommandEntity.objects.filter(pk=commands[0]).delete()
    assert looker.news() == set()
    assert not looker.seen.partial or len(looker.seen.live.rows) == 3


def test_ended_ones_that_newer_ones_push_out_are_not_told_of(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "ENDED", 2)
    for _ in range(2):
        worker.submit(Plain)
        worker.turn(1)
    looker = Looker(worker)
    third = worker.submit(Plain).command_id
    worker.turn(1)
    assert looker.news() == {(third, True)}
    CommandEntity.objects.filter(pk=third).delete()
    told = looker.news()
    assert told
    assert (third, False) in told


def test_too_much_at_once_may_be_anything(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "MANY", 2)
    looker = Looker(worker)
    for _ in range(2):
        worker.submit(Waiting)
    assert looker.news() is not None
    for _ in range(3):
        worker.submit(Waiting)
    assert looker.news() is None


def test_more_that_ended_than_a_look_reads_may_be_anything(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "ENDED", 2)
    looker = Looker(worker)
    for _ in range(3):
        worker.submit(Plain)
    worker.turn(1)
    assert looker.news() is None


def test_that_no_worker_looks_at_commands_is_seen_though_nothing_changes(worker: Worker) -> None:
    worker.submit(Plain)
    looker = Looker(worker)
    worker.now += timedelta(seconds=31)
    assert looker.news() is None
    assert looker.news() == set()
    worker.turn()
    assert looker.news() is None


def test_that_the_site_is_held_is_seen(worker: Worker) -> None:
    operator = make_actor(make_user("operator"), *Right)
    site.release(actor=operator, now=worker.now)
    looker = Looker(worker)
    site.hold(actor=operator, now=worker.now)
    assert looker.news() is None


def test_an_answer_that_was_read_before_a_look_is_older_than_what_the_look_saw() -> None:
    now = timezone.now()
    assert changes.version(now) < changes.version(now + timedelta(microseconds=1))
    assert changes.version(now) < 2**53  # as far as JavaScript counts exactly
