"""Lists of commands: complete, page by page, and each by an index, however many have ended."""

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from coordinator import selectors
from coordinator.models import ENDED, CommandEntity, CommandStatus
from taskmonitor.models import SYSTEM, Actor
from taskmonitor.selectors.jobs import Cursor
from tests.core.test_lists import SQLITE, plans
from tests.factories import NOW, make_actor, make_user

pytestmark = pytest.mark.django_db
S = CommandStatus


def command(number: int, kind: str, status: str, user: Actor) -> CommandEntity:
    return CommandEntity(
        command_type=kind,
        status=status,
        user_id=user.user_id,
        created_at=NOW + timedelta(seconds=number),
        ended_at=NOW + timedelta(seconds=number) if status in ENDED else None,
        due_at=None if status in ENDED or status == S.UNKNOWN else NOW,
    )


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"command_type": "Plain"},
        {"command_type": "Nowhere"},
        {"status": "ACTIVE"},
        {"status": "UNKNOWN"},
        {"status": "ENDED_WITH_FAILURE"},
        {"status": "ENDED_SUCCESSFULLY"},
        {"command_type": "Plain", "status": "ACTIVE"},
        {"command_type": "Plain", "status": "ENDED_WITH_FAILURE"},
    ],
    ids=str,
)
def test_pages_together_are_the_list(fields: dict[str, str]) -> None:
    """Of ninety commands in some thirty seconds, many at the same instant."""
    dice = random.Random(5)
    users = [make_actor(make_user(name)) for name in ("anna", "bert")]
    CommandEntity.objects.bulk_create(
        command(dice.randrange(30), dice.choice(["Plain", "Quiet"]), dice.choice(list(S)), dice.choice(users))
        for _ in range(90)
    )
    for actor, own in ((SYSTEM, {}), (users[0], {"user_id": users[0].user_id})):
        parts = selectors.having(actor, **fields)
        paged, after = selectors.page(*parts, limit=7)
        while after:
            found, after = selectors.page(*parts, limit=7, after=after)
            paged += found
        expected = CommandEntity.objects.filter(**fields, **own).order_by("-created_at", "-command_id")
        assert paged == list(expected)


@pytest.fixture(scope="class")
def many(django_db_setup: None, django_db_blocker: Any) -> Iterator[Actor]:
    """Six thousand ended commands of one user, one in a hundred of them with failure, and ten for each other status."""
    living = [status for status in S if status not in ENDED]
    with django_db_blocker.unblock(), transaction.atomic():
        user = make_actor(make_user("anna"))
        statuses = [S.ENDED_SUCCESSFULLY if number % 100 else S.ENDED_WITH_FAILURE for number in range(6_000)]
        CommandEntity.objects.bulk_create(
            command(number, "Plain", status, user) for number, status in enumerate([*statuses, *living * 10])
        )
        if not SQLITE:
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE command_entities")
        yield user
        transaction.set_rollback(True)


@pytest.mark.usefixtures("many")
class TestPlans:
    @pytest.mark.parametrize("after", [None, Cursor(NOW + timedelta(seconds=3_000), CommandEntity().pk)])
    @pytest.mark.parametrize(
        ("fields", "indexes"),
        [
            *(
                ({"status": status}, {"command_live"})
                for status in S
                if status not in (*ENDED, S.HELD, S.UNKNOWN)
            ),
            *(({"status": status}, {"command_live", "command_unknown"}) for status in (S.HELD, S.UNKNOWN)),
            ({"status": "ENDED_WITH_FAILURE"}, {"command_failed"}),
            ({"command_type": "Nowhere", "status": "ACTIVE"}, {"command_live"}),
            ({"command_type": "Nowhere"}, {"command_live", "command_by_type"}),
        ],
        ids=str,
    )
    def test_what_few_have_is_found_by_an_index_of_few(
        self, many: Actor, fields: dict[str, str], indexes: set[str], after: Cursor | None
    ) -> None:
        for actor in (SYSTEM, many):
            with connection.cursor() as cursor:
                if not SQLITE:
                    cursor.execute("SET LOCAL enable_seqscan = off")  # the table is small here
            with plans() as found:
                selectors.page(*selectors.having(actor, **fields), limit=50, after=after)
            for plan in found:
                own = {"command_by_user"} if actor is many and "status" not in fields else set()
                assert any(index in plan for index in indexes | own), plan
                assert "TEMP B-TREE" not in plan, plan
