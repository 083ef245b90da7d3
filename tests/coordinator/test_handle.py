"""The future of a command."""

import asyncio
from time import monotonic
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections

from coordinator.executor import CommandFailed, Handle
from coordinator.models import CommandEntity
from taskmonitor.errors import NotFound
from tests.coordinator.commands import Length, Plain
from tests.coordinator.conftest import Engine


def test_one_that_was_removed_is_not_waited_for(db: None) -> None:
    handle = Handle(uuid4())
    assert handle.done()
    with pytest.raises(NotFound):
        handle.result(timeout=5)


def test_it_is_waited_for_as_long_as_asked(engine: Engine) -> None:
    handle, begin = engine.submit(Plain), monotonic()
    with pytest.raises(TimeoutError):
        handle.result(timeout=0.6)
    assert 0.6 <= monotonic() - begin < 5
    with pytest.raises(TimeoutError):
        handle.result(timeout=0)
    engine.turn()
    assert handle.result(timeout=0) == Length(letters=5)


@pytest.mark.django_db(transaction=True)
def test_it_is_awaited_by_async_code() -> None:
    engine = Engine()
    good, bad = engine.submit(Plain), engine.submit(Plain, fail_in="execute")

    async def both() -> object:
        awaited = asyncio.ensure_future(_awaited(good))
        await asyncio.sleep(0.05)
        assert not awaited.done()
        await asyncio.to_thread(_turn, engine)
        with pytest.raises(CommandFailed, match="no execute"):
            await bad
        return await awaited

    assert asyncio.run(both()) == Length(letters=5)
    CommandEntity.objects.all().delete()
    with pytest.raises(NotFound):
        asyncio.run(_awaited(good))


async def _awaited(handle: Handle) -> object:
    try:
        return await handle
    finally:
        await sync_to_async(connections.close_all)()  # that thread's own


def _turn(engine: Engine) -> None:
    engine.turn()
    connection.close()
