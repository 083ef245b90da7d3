"""Who gets which command."""

from datetime import timedelta
from threading import Barrier, Thread
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.utils.timezone import now as wall_clock

from coordinator.engine.queue import Lease, Superseded, _claim_sql, claim, renew, wake
from coordinator.models import CommandEntity, CommandStatus

NOW = wall_clock()


def rows(count: int, **fields: Any) -> list[CommandEntity]:
    made = [
        CommandEntity(
            command_type="Plain", created_at=NOW, **{"status": "NOT_STARTED", "due_at": NOW, **fields}
        )
        for _ in range(count)
    ]
    return CommandEntity.objects.bulk_create(made)


@pytest.mark.django_db
def test_only_what_is_due_and_not_held_is_claimed_the_longest_due_first() -> None:
    rows(1, due_at=NOW + timedelta(seconds=1))
    rows(1, due_at=None)
    rows(1, lease_until=NOW + timedelta(seconds=1))
    lapsed = rows(1, due_at=NOW - timedelta(seconds=2), lease_until=NOW - timedelta(seconds=1), fence=7)
    late = rows(1, due_at=NOW - timedelta(hours=1))
    claims = claim(NOW, worker="w", limit=2)
    assert set(claims) == {(lapsed[0].pk, 8), (late[0].pk, 1)}
    assert claim(NOW, worker="w", limit=2) == []
    held = CommandEntity.objects.get(pk=late[0].pk)
    assert (held.worker, held.due_at) == ("w", held.lease_until)


@pytest.mark.django_db(transaction=True)
def test_of_many_that_claim_at_once_each_gets_others() -> None:
    rows(200)
    barrier, got = Barrier(4), []

    def claimant() -> None:
        barrier.wait()
        while mine := claim(NOW, worker="w", limit=10):
            got.extend(mine)
        connection.close()

    threads = [Thread(target=claimant) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == len(set(got)) == 200


@pytest.mark.django_db
def test_who_lost_a_command_writes_nothing_to_it() -> None:
    rows(1)
    claim(NOW, worker="first", limit=1)
    zombie = Lease(CommandEntity.objects.get())
    claim(NOW + timedelta(hours=1), worker="second", limit=1)
    for write in (
        lambda: zombie.write(status=CommandStatus.ACTIVE),
        lambda: zombie.release(NOW, NOW),
        lambda: zombie.release(None, NOW, status=CommandStatus.ENDED_SUCCESSFULLY),
    ):
        with pytest.raises(Superseded):
            write()
    row = CommandEntity.objects.get()
    assert (row.worker, row.status) == ("second", "NOT_STARTED")


@pytest.mark.django_db
def test_one_that_is_woken_while_it_is_held_is_due_again_at_once() -> None:
    rows(1)
    claim(NOW, worker="w", limit=1)
    lease = Lease(CommandEntity.objects.get())
    wake(lease.row.pk, NOW)
    assert claim(NOW, worker="other", limit=1) == []
    renew(["w"], NOW + timedelta(seconds=5))
    lease.release(NOW + timedelta(hours=1), NOW)
    assert len(claim(NOW, worker="other", limit=1)) == 1


MANY = 1_000_000
ENDED = """
    INSERT INTO command_entities (
        command_id, command_type, position, command_parameters, command_params_class, execution_reason,
        created_at, status, callback_enabled, callback_notified, executed, return_value_class,
        correlation_id, owns_job, ended_at, children, stage, waits_for, attempts, polls, end_attempts,
        error, trace, poll_delay, fence, worker, lane, woken, deaths, death, held_from
    )
    SELECT {key}, 'Plain', 0, '', '', 'REGULAR_FLOW', %s, 'ENDED_SUCCESSFULLY', {yes}, {yes}, {yes}, '', '',
        {no}, %s, 0, 0, '', 1, 0, 0, '', '', 0, 1, '', 0, {no}, 0, '', ''
    FROM {numbers}
"""
DIALECTS = {
    "sqlite": {
        "key": "printf('%%032x', value)",
        "numbers": "generate",
        "yes": "1",
        "no": "0",
    },
    "postgresql": {
        "key": "lpad(to_hex(value), 32, '0')::uuid",
        "numbers": f"generate_series(1, {MANY}) AS value",
        "yes": "true",
        "no": "false",
    },
}


@pytest.mark.django_db
@pytest.mark.mission("S80")
def test_a_million_ended_commands_are_in_nobodys_way() -> None:
    with connection.cursor() as cursor:
        insert = ENDED.format(**DIALECTS[connection.vendor])
        if connection.vendor == "sqlite":
            numbers = f"generate(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM generate LIMIT {MANY})"  # noqa: S608
            insert = f"WITH RECURSIVE {numbers} {insert}"
        cursor.execute(insert, [NOW, NOW])
        live = rows(50, root_command_id=uuid4())
        cursor.execute("ANALYZE command_entities")
        moment = str(NOW)
        explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
        cursor.execute(
            f"{explain} {_claim_sql(connection.vendor, True, 2)}",
            [moment, moment, 0, "Plain", "Polled", 100, moment, moment, "w"],
        )
        plan = "\n".join(str(line) for line in cursor.fetchall())
    assert "command_due" in plan
    assert "SCAN command_entities" not in plan.replace("USING INDEX command_due", "")
    assert "Seq Scan" not in plan
    assert len(claim(NOW, worker="w", limit=100)) == len(live)
