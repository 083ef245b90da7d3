"""The hub between the feed and open pages, and the page stream on top of it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction
from django.test import AsyncClient
from django.utils import timezone

from taskmonitor import feed, stream
from taskmonitor.models import Event, Right, Role, Session, Verb
from taskmonitor.pages import stream as page
from taskmonitor.pages import stream_watch
from taskmonitor.stream import Change, Hub, Reset
from tests.factories import NOW, make_actor, make_job, make_step, make_user

pytestmark = pytest.mark.django_db(transaction=True)

Result = TypeVar("Result")
SOON = 5.0  # seconds; what comes at all comes in a small part of it


def run(test: Callable[[], Awaitable[Result]]) -> Result:
    return async_to_sync(test)()


async def changes(reader: stream.Reader) -> list[Change]:
    news = await reader.news(SOON)
    assert isinstance(news, list)
    return news


def test_a_commit_of_this_process_is_news_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "INTERVAL", 3600)
    viewer = make_actor(make_user("viewer"), Right.VIEW_ALL)

    async def follow() -> None:
        async with Hub().reader(viewer) as reader:
            job = await sync_to_async(make_job)()
            [change] = await changes(reader)
            assert (change.job_id, change.step_id, change.verb) == (job.pk, None, Verb.ADDED)
            step = await sync_to_async(make_step)(job)
            below = await sync_to_async(make_step)(job, parent_step_id=step.pk)
            found = await changes(reader)
            while len(found) < 2:
                found += await changes(reader)
            assert [(c.step_id, c.parent_step_id) for c in found] == [(step.pk, None), (below.pk, step.pk)]

    run(follow)


def test_a_commit_of_another_process_is_news_soon() -> None:
    viewer = make_actor(make_user("viewer"), Right.VIEW_ALL)
    job = make_job()

    async def follow() -> None:
        async with Hub().reader(viewer) as reader:
            event = Event.of(job, Verb.PROGRESSED, actor=viewer, now=NOW)
            await sync_to_async(event.save)()  # not by feed.append, so it wakes nobody
            assert [change.verb for change in await changes(reader)] == [Verb.PROGRESSED]

    run(follow)


@pytest.mark.mission("D25")
def test_everybody_is_told_only_of_what_they_may_see() -> None:
    owner, other = make_user("owner"), make_user("other")
    hub = Hub()

    async def follow() -> None:
        async with hub.reader(make_actor(owner)) as mine, hub.reader(make_actor(other)) as theirs:
            job = await sync_to_async(make_job)(make_actor(owner))
            assert [change.job_id for change in await changes(mine)] == [job.pk]
            assert await theirs.news(0.2) == []
            theirs.actor = make_actor(other, Right.VIEW_ALL)
            await sync_to_async(make_step)(job)
            assert [change.job_id for change in await changes(theirs)] == [job.pk]

    run(follow)


def test_a_reader_takes_up_where_it_left_off() -> None:
    viewer = make_actor(make_user("viewer"), Right.VIEW_ALL)
    job = make_job()
    seen = Event.objects.get().position
    for _ in range(3):
        make_step(job)

    async def follow() -> list[int]:
        async with Hub().reader(viewer, seen) as reader:
            return [change.position for change in await changes(reader)]

    assert run(follow) == [seen + 1, seen + 2, seen + 3]


def test_a_reader_that_is_slow_misses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "RECENT", 2)
    viewer = make_actor(make_user("viewer"), Right.VIEW_ALL)
    job = make_job()
    hub = Hub()

    async def follow() -> None:
        async with hub.reader(viewer) as slow, hub.reader(viewer) as quick:
            begun = slow.position
            for _ in range(6):
                await sync_to_async(make_step)(job)
            while quick.position < begun + 6:
                await changes(quick)
            assert [change.position for change in await changes(slow)] == [begun + n for n in range(1, 7)]

    run(follow)


def test_a_reader_from_before_what_is_kept_begins_anew() -> None:
    viewer = make_actor(make_user("viewer"), Right.VIEW_ALL)
    gone = make_job()
    begun = Event.objects.get().position
    make_step(gone)
    make_job()
    last = feed.last()
    with transaction.atomic():
        feed.forget([gone.pk])
        gone.delete()

    async def follow() -> None:
        hub = Hub()
        for position in (begun, last + 1000):
            async with hub.reader(viewer, position) as reader:
                assert await reader.news(SOON) == Reset(last)
                assert reader.position == last

    run(follow)


def test_the_stream_of_a_page_begins_with_where_it_is() -> None:
    user = make_user("viewer", Role.VIEWER)
    client = AsyncClient()
    client.force_login(user)

    async def follow() -> None:
        answer = await client.get("/stream/")
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["Cache-Control"] == "no-store"
        lines: AsyncIterator[bytes] = aiter(answer)
        assert b"event: open" in await anext(lines)
        job = await sync_to_async(make_job)()
        told = (await anext(lines)).decode()
        assert "event: change" in told
        assert f'"job": "{job.pk}"' in told
        assert '"verb": "added"' in told
        await lines.aclose()  # type: ignore[attr-defined]

    run(follow)


def log_out(client: AsyncClient, user: User) -> None:
    client.logout()


def change_password(client: AsyncClient, user: User) -> None:
    user.set_password("another good horse")
    user.save()


ENDS = {
    "logout": log_out,
    "deactivation": lambda client, user: User.objects.filter(pk=user.pk).update(is_active=False),
    "deletion": lambda client, user: user.delete(),
    "password": change_password,
    "time": lambda client, user: Session.objects.update(expire_date=timezone.now()),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_stream_ends_within_five_seconds_of_its_session_though_nothing_happens(
    end: Callable[[AsyncClient, User], object],
) -> None:
    user = make_user("viewer", Role.VIEWER)
    client = AsyncClient()
    client.force_login(user)

    async def follow() -> None:
        lines = aiter(await client.get("/stream/"))
        assert b"event: open" in await anext(lines)
        await sync_to_async(end)(client, user)
        async with asyncio.timeout(5):
            assert b"event: logout" in await anext(lines)
            assert await anext(lines, b"the end") == b"the end"

    run(follow)


@pytest.mark.mission("S34")
def test_a_role_that_is_taken_away_is_gone_from_the_stream_within_five_seconds() -> None:
    user = make_user("viewer", Role.VIEWER)
    client = AsyncClient()
    client.force_login(user)
    owner = make_actor(make_user("owner"))

    async def follow() -> None:
        lines = aiter(await client.get("/stream/"))
        await anext(lines)
        await sync_to_async(make_job)(owner)
        assert b"event: change" in await anext(lines)
        await sync_to_async(user.groups.clear)()
        await asyncio.sleep(5)
        await sync_to_async(make_job)(owner)
        own = await sync_to_async(make_job)(make_actor(user))
        told = (await anext(lines)).decode()
        assert told.count("event: change") == 1
        assert str(own.pk) in told
        await lines.aclose()  # type: ignore[attr-defined]

    run(follow)


def test_all_readers_are_looked_after_in_two_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_watch, "INTERVAL", 3600)
    clients = []
    for number in range(7):
        clients.append(AsyncClient())
        clients[-1].force_login(make_user(f"viewer-{number}", Role.VIEWER))
    asked: list[str] = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        asked.append(sql)
        return execute(sql, *rest)

    async def follow() -> None:
        readers = [aiter(await client.get("/stream/")) for client in clients]
        for lines in readers:
            await anext(lines)
        await stream.hub.ask(lambda: connection.execute_wrappers.append(note))
        await stream_watch.watch._look_once()
        await stream.hub.ask(connection.execute_wrappers.clear)
        assert len([sql for sql in asked if "taskmonitor_session" in sql]) == 1
        assert len([sql for sql in asked if "auth_permission" in sql]) == 1
        for lines in readers:
            await lines.aclose()  # type: ignore[attr-defined]

    run(follow)


def test_a_page_resumes_by_the_id_of_its_last_event() -> None:
    user = make_user("viewer", Role.VIEWER)
    client = AsyncClient()
    client.force_login(user)
    make_job()
    seen = Event.objects.get().position
    make_job()

    async def follow() -> None:
        answer = await client.get("/stream/?after=0", headers={"Last-Event-ID": str(seen)})
        lines = aiter(answer)
        assert f"id: {seen}\n".encode() in await anext(lines)
        assert f"id: {seen + 1}\n".encode() in await anext(lines)
        await lines.aclose()  # type: ignore[attr-defined]

    run(follow)


def test_many_changes_of_one_thing_are_told_as_one() -> None:
    def change(position: int, verb: str, step: int | None = None) -> Change:
        return Change(position, "job", 1, step, None, position, verb)  # type: ignore[arg-type]

    told = page._latest(
        [change(1, "added"), *[change(n, "progressed", 7) for n in range(2, 50)], change(50, "moved")]
    )
    assert [(each.position, each.verb) for each in told] == [(1, "added"), (49, "progressed"), (50, "moved")]


def test_nobody_has_a_stream() -> None:
    async def ask() -> int:
        return (await AsyncClient().get("/stream/")).status_code

    assert run(ask) == 401


def cut_off(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let nobody read the feed; what is returned lets them again."""
    read = stream._read

    def fail(after: int) -> list[Change]:
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr(stream, "_read", fail)
    return lambda: monkeypatch.setattr(stream, "_read", read)


def test_a_stream_whose_feed_cannot_be_read_ends_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    client = AsyncClient()
    client.force_login(make_user("viewer", Role.VIEWER))

    async def follow() -> None:
        lines = aiter(await client.get("/stream/"))
        await anext(lines)
        give_back = cut_off(monkeypatch)
        async with asyncio.timeout(3):
            assert await anext(lines, b"the end") == b"the end"
        give_back()
        again = aiter(await client.get("/stream/"))
        assert b"event: open" in await anext(again)
        await sync_to_async(make_job)()
        assert b"event: change" in await anext(again)
        await again.aclose()  # type: ignore[attr-defined]

    run(follow)


def test_a_feed_that_fails_once_ends_no_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "INTERVAL", 0.2)
    viewer = make_actor(make_user("viewer"), Right.VIEW_ALL)

    async def follow() -> None:
        hub = Hub()
        async with hub.reader(viewer) as reader:
            give_back = cut_off(monkeypatch)
            while not hub._failed:
                await asyncio.sleep(0.01)
            assert hub.readable
            give_back()
            await sync_to_async(make_job)()
            assert await changes(reader)

    run(follow)


def test_a_feed_that_hangs_is_not_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "HANGS", 0.2)
    viewer = make_actor(make_user("viewer"), Right.VIEW_ALL)

    async def follow() -> None:
        hub = Hub()
        async with hub.reader(viewer) as reader:
            hangs = threading.Event()
            monkeypatch.setattr(stream, "_read", lambda after: hangs.wait(10) or [])
            async with asyncio.timeout(5):
                assert await reader.news(60) == []
            assert not hub.readable
            hangs.set()

    run(follow)


def test_a_quiet_stream_says_that_it_lives_and_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "PATIENCE", 0.1)
    user = make_user("viewer")
    client = AsyncClient()
    client.force_login(user)
    make_job(make_actor(make_user("somebody")))

    async def follow() -> None:
        lines = aiter(await client.get("/stream/"))
        assert f'"user": "{user.pk}"' in (await anext(lines)).decode()
        at = await sync_to_async(feed.last)()
        assert await anext(lines) == f"id: {at}\nevent: alive\ndata: {{}}\n\n".encode()
        await lines.aclose()  # type: ignore[attr-defined]

    run(follow)
