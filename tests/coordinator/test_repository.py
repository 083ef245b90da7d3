"""The operations on stored commands, by their names (MISSION.md S78 to S110)."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.utils.timezone import now as wall_clock

from coordinator import repository
from coordinator.command import RUNNING, Answer, Command, Context, Succeeded
from coordinator.models import CommandEntity, CommandStatus, ExecutionReason
from coordinator.registry import register
from coordinator.repository import ExecutionStatus
from coordinator.testing import crash_everywhere
from taskmonitor.errors import Conflict
from taskmonitor.models import Job
from tests.coordinator.commands import LOG, Ending, Family, Length, Plain, Polled, Quiet, Waiting, Word
from tests.coordinator.conftest import Engine

pytestmark = pytest.mark.django_db

NOW = wall_clock().replace(microsecond=123456)


def plain(word: str = "hello", context: Context | None = None) -> Plain:
    return Plain(uuid4(), Word(word=word), context or Context())


def stored(command: Command[Word, Length], **options: object) -> CommandEntity:
    return repository.persist(command, now=NOW, **options)  # type: ignore[arg-type]


@pytest.mark.mission("S78", "S79", "S80", "S81", "S82", "S83", "S84", "S85", "S86", "S87", "S88", "S89")
def test_the_table_has_the_columns_of_the_design() -> None:
    with connection.cursor() as cursor:
        columns = {
            column.name: column
            for column in connection.introspection.get_table_description(cursor, "command_entities")
        }
        keys = connection.introspection.get_constraints(cursor, "command_entities")
    assert [name for name, key in keys.items() if key["primary_key"] and key["columns"] == ["command_id"]]
    assert [name for name, key in keys.items() if key["index"] and key["columns"] == ["root_command_id"]]
    for name in ("root_command_id", "status", "return_value", "job_id", "step_id"):
        assert columns[name].null_ok, name
    for name in (
        *("command_id", "command_type", "command_parameters", "command_params_class", "created_at"),
        *("callback_enabled", "callback_notified", "executed"),
    ):
        assert not columns[name].null_ok, name
    sizes = {"status": 20, "command_params_class": 256, "return_value_class": 256}
    for name, size in sizes.items():
        assert CommandEntity._meta.get_field(name).max_length == size  # type: ignore[union-attr]
    fresh = CommandEntity()
    assert (fresh.status, fresh.callback_enabled, fresh.callback_notified, fresh.executed) == (
        None,
        False,
        False,
        False,
    )


@pytest.mark.mission("S90", "S127")
def test_polled_and_other_commands_are_in_the_one_table(engine: Engine) -> None:
    engine.submit(Polled)
    engine.submit(Quiet)
    assert set(CommandEntity.objects.values_list("command_type", "callback_enabled")) == {
        ("Polled", True),
        ("Quiet", False),
    }


@pytest.mark.mission("S82", "S92", "S100", "S101", "S102")
def test_a_command_comes_back_equal_to_what_was_stored() -> None:
    job = uuid4()
    command = plain(
        "ümläut", Context(correlation_id="c-1", job_id=job, execution_reason=ExecutionReason.ROLLBACK_FLOW)
    )
    command.result = Length(letters=6)
    entity = stored(command)
    assert (entity.job_id, entity.correlation_id, entity.created_at) == (job, "c-1", NOW)
    again = repository.retrieve_command(command.command_id)
    assert again == command
    assert again is not command
    assert again.context == command.context
    assert repository.retrieve_command(uuid4()) is None


@pytest.mark.mission("S81", "S92", "S96")
def test_children_keep_their_parent_and_their_order() -> None:
    root, middle = plain("root"), plain("middle")
    stored(root)
    stored(middle, parent=root)
    leaves = [plain(f"leaf{number}") for number in range(12)]
    for leaf in leaves:
        stored(leaf, parent=middle)
    assert repository.get_child_command_ids(middle.command_id) == [leaf.command_id for leaf in leaves]
    row = repository.get_command_entity(leaves[3].command_id)
    assert row
    assert (row.parent_command_id, row.root_command_id, row.position) == (
        middle.command_id,
        root.command_id,
        3,
    )


@pytest.mark.mission("S92", "S99")
def test_those_with_a_callback_are_listed() -> None:
    with_callback = stored(plain(), enable_callback=True)
    stored(plain(), enable_callback=False)
    stored(plain())  # it has none of its own
    own = stored(Polled(uuid4(), Word(), Context()))
    assert {entity.pk for entity in repository.get_commands_with_callback_enabled()} == {
        with_callback.pk,
        own.pk,
    }


@pytest.mark.mission("S95")
def test_an_entity_is_made_and_not_stored() -> None:
    entity = repository.create_command_entity(uuid4(), "Plain", Word(word="x"), now=NOW)
    assert (entity.command_parameters, entity.command_params_class) == (
        '{"word":"x","fail_in":"","times":0}',
        "Word",
    )
    assert repository.get_command_entity(entity.pk) is None


@pytest.mark.mission("S94")
def test_whether_a_root_has_commands() -> None:
    root = plain()
    stored(root)
    assert not repository.has_command_entities_with_root_command_id(root.command_id)
    stored(plain(), parent=root)
    assert repository.has_command_entities_with_root_command_id(root.command_id)


@pytest.mark.mission("S97", "S98", "S106", "S107", "S108", "S109", "S125")
def test_single_updates_change_one_thing_of_one_row() -> None:
    first, other = stored(plain()), stored(plain())
    assert repository.get_command_execution_status(first.pk) == ExecutionStatus.NOT_EXECUTED
    repository.update_command_status(first.pk, CommandStatus.ACTIVE)
    repository.update_command_executed(first.pk)
    repository.update_callback_notified(first.pk)
    row = repository.get_command_entity(first.pk)
    assert row
    assert (row.status, row.executed, row.callback_notified) == (CommandStatus.ACTIVE, True, True)
    assert repository.get_command_status(first.pk) == CommandStatus.ACTIVE
    assert repository.get_command_execution_status(first.pk) == ExecutionStatus.EXECUTED
    assert repository.get_command_entity(other.pk) == other
    assert repository.get_command_status(other.pk) == CommandStatus.NOT_STARTED
    missing = uuid4()
    repository.update_command_status(missing, CommandStatus.ACTIVE)
    assert repository.get_command_status(missing) == CommandStatus.UNKNOWN
    assert repository.get_command_execution_status(missing) == ExecutionStatus.UNKNOWN


@pytest.mark.mission("S100", "S109")
def test_saving_twice_leaves_one_row_and_takes_nothing_back() -> None:
    entity = stored(plain())
    repository.update_command_executed(entity.pk)
    repository.update_callback_notified(entity.pk)
    entity.executed = entity.callback_notified = False
    entity.status = CommandStatus.ACTIVE
    repository.save_or_update(entity)
    row = CommandEntity.objects.get()
    assert (row.status, row.executed, row.callback_notified) == (CommandStatus.ACTIVE, True, True)


@pytest.mark.mission("S103", "S104")
def test_a_hierarchy_goes_and_nothing_else() -> None:
    roots = [plain(), plain()]
    middles = [plain(), plain()]
    for root, middle in zip(roots, middles, strict=True):
        stored(root)
        stored(middle, parent=root)
        stored(plain(), parent=middle)
    assert repository.remove_all_commands_in_hierarchy(middles[0].command_id) == 2
    assert CommandEntity.objects.count() == 4
    repository.remove_command(roots[1].command_id)
    assert set(CommandEntity.objects.values_list("pk", flat=True)) >= {
        roots[0].command_id,
        middles[1].command_id,
    }
    assert CommandEntity.objects.count() == 3


def ended_at(handle_id: UUID, days_ago: int) -> None:
    CommandEntity.objects.filter(pk=handle_id).update(ended_at=NOW - timedelta(days=days_ago))


@pytest.mark.mission("S105", "S110")
def test_old_hierarchies_go_whole_and_the_living_stay(engine: Engine) -> None:
    old, young, living = (engine.submit(Family, times=2) for _ in range(3))
    engine.run()
    CommandEntity.objects.update(ended_at=NOW - timedelta(days=40))
    ended_at(young.command_id, 2)
    [child, _] = repository.get_child_command_ids(living.command_id)
    CommandEntity.objects.filter(pk=child).update(status=CommandStatus.ACTIVE, ended_at=None)
    cutoff = NOW - timedelta(days=30)
    assert repository.commands_before_date(cutoff) == [old.command_id]
    assert repository.remove_all_commands_before_date(cutoff) == [old.command_id]
    assert CommandEntity.objects.count() == 6


@pytest.mark.mission("S122")
def test_a_parent_reads_what_its_child_returned(engine: Engine) -> None:
    handle = engine.submit(Family, times=1)
    engine.run()
    [child] = repository.get_child_command_ids(handle.command_id)
    command = repository.retrieve_command(child)
    assert command
    assert command.result == Length(letters=len("child0"))
    assert Job.objects.count() == 1


@register()
class Adopting(Ending):
    """Persist a child and add another one, which say words."""

    def execute(self) -> None:
        self.add_child(Plain, Word(word="added"))
        now = CommandEntity.objects.get(pk=self.command_id).created_at
        repository.persist(plain("persisted", self.context), parent=self, now=now)
        self.note("execute")


@pytest.mark.mission("S92", "S118")
@pytest.mark.parametrize("fail_in", ["", "execute"])
def test_a_parent_waits_for_the_child_that_it_persists(engine: Engine, fail_in: str) -> None:
    handle = engine.submit(Adopting, fail_in=fail_in)
    engine.run()
    added = [] if fail_in else ["execute added"]
    end = "end_with_failure hello" if fail_in else "end_successfully hello"
    assert ["execute hello", "execute persisted", *added, end] == LOG
    children = CommandEntity.objects.filter(parent_command_id=handle.command_id).order_by("position")
    assert {child.status for child in children} == {CommandStatus.ENDED_SUCCESSFULLY}
    assert [child.position for child in children] == list(range(1 + len(added)))
    job = Job.objects.get()
    above = job.steps.get(depth=0, type="EXECUTING")
    assert [step.parent_step for step in job.steps.filter(depth=1)] == [above] * len(children)
    assert (engine.row(handle).children, job.steps_open) == (len(children), 0)


@pytest.mark.mission("S93")
def test_a_child_that_was_persisted_is_not_lost_wherever_a_worker_dies(db: None) -> None:
    passed = crash_everywhere(Adopting)
    assert {"before-persist", "after-persist"} <= set(passed)


@pytest.mark.parametrize(
    ("fields", "child"),
    [
        ({}, "ENDED_SUCCESSFULLY"),
        ({"status": CommandStatus.ACTIVE}, "ENDED_WITH_FAILURE"),
        ({"status": CommandStatus.ACTIVE, "executed": True}, "ENDED_SUCCESSFULLY"),
        ({"status": CommandStatus.SUCCEEDED, "executed": True}, "ENDED_SUCCESSFULLY"),
        ({"status": CommandStatus.ENDED_WITH_FAILURE}, "ENDED_WITH_FAILURE"),
    ],
)
def test_a_child_is_carried_on_from_where_it_was_persisted(
    engine: Engine, fields: dict[str, Any], child: str
) -> None:
    """Its parent waits for an event, and then for the child."""
    handle = engine.submit(Waiting)
    engine.turn()
    parent = repository.retrieve_command(handle.command_id)
    assert parent
    command = Polled(uuid4(), Word(word="child"), parent.context)
    vars(command).update(fields)
    repository.persist(command, parent, now=engine.now)
    engine.deliver(handle, "news")
    engine.run()
    assert (repository.get_command_status(command.command_id), handle.status) == (child, "ENDED_SUCCESSFULLY")
    assert LOG[-1] == "end_successfully hello"
    assert Job.objects.get().steps_open == 0


def test_a_command_has_no_child_that_nobody_would_wait_for(engine: Engine) -> None:
    handle = engine.submit(Plain)
    parent = repository.retrieve_command(handle.command_id)
    CommandEntity.objects.update(lease_until=NOW)
    with pytest.raises(Conflict, match="A worker is at"):
        stored(plain(), parent=parent)
    CommandEntity.objects.update(lease_until=None)
    engine.run()
    with pytest.raises(Conflict, match="is ENDED_SUCCESSFULLY"):
        stored(plain(), parent=parent)
    assert CommandEntity.objects.count() == 1


def test_nothing_executes_what_was_persisted_beneath_nothing_that_runs(engine: Engine) -> None:
    root = plain()
    stored(root)
    stored(plain(), parent=root)
    assert engine.turn(3600) == 0
    assert CommandEntity.objects.get(pk=root.command_id).children == 1


@register()
class Persisting(Polled):
    """Persist itself while it runs."""

    def execute(self) -> None:
        self.checkpoint("kept")
        repository.persist(self, now=NOW)

    def poll(self) -> Answer:
        self.result = Length(letters=9)
        repository.persist(self, now=NOW)
        return super().poll()


@register()
class Owner(Polled):
    """Have a child that persists itself, and read what it said meanwhile."""

    def execute(self) -> None:
        self.add_child(Persisting, Word(times=3))

    def poll(self) -> Answer:
        [child] = self.children()
        return Succeeded(child.result) if child.result else RUNNING


@pytest.mark.mission("S92", "S121", "S122", "S123")
def test_a_command_may_persist_itself_while_it_runs(engine: Engine) -> None:
    handle = engine.submit(Owner)
    for seconds in (0, 0, 1, 2):
        engine.turn(seconds)
    assert engine.row(handle).status == CommandStatus.SUCCEEDED
    [child] = CommandEntity.objects.filter(parent_command_id=handle.command_id)
    assert (child.status, child.checkpoint, child.polls) == ("ACTIVE", "kept", 2)
    engine.run()
    assert handle.result() == Length(letters=9)
    assert LOG.count("end_successfully hello") == 2
