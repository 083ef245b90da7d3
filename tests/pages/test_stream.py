"""The hub between the feed and open pages, and the page stream on top of it."""

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction
from django.test import AsyncClient
from django.utils import timezone

from coordinator.testing import Worker
from taskmonitor import feed, stream
from taskmonitor.models import Event, Job, Right, Role, Session, Step, Verb
from taskmonitor.pages import stream as page
from taskmonitor.pages import stream_commands, stream_watch
from taskmonitor.services import steps
from taskmonitor.stream import Change, Hub, Reset
from tests.coordinator.commands import Quiet, Waiting
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


def test_what_goes_wrong_is_news_of_each_step_above_it() -> None:
    job = make_job()
    a = make_step(job)
    b = make_step(job, parent_step_id=a.pk)
    c = make_step(job, parent_step_id=b.pk)
    d, e = make_step(job, parent_step_id=c.pk), make_step(job, parent_step_id=c.pk)

    def end(step: Step, status: str) -> list[tuple[Any, str]]:
        last = feed.last()
        steps.end_step(job_id=job.pk, step_id=step.pk, status=status, actor=make_actor(), now=NOW)
        found = stream._read(last)
        assert {change.version for change in found} == {Job.objects.get().version}
        assert {change.position for change in found} == {feed.last()}
        return [(change.step_id, change.verb) for change in found]

    assert end(e, "FINISHED") == [(e.pk, "moved")]
    above = [(b.pk, stream.BENEATH), (a.pk, stream.BENEATH)]
    assert end(c, "FINISHED") == [(c.pk, "moved")]
    assert end(d, "FAILED") == [*above, (d.pk, "moved")]
    left = make_step(job, parent_step_id=b.pk)
    end(b, "FINISHED")
    assert end(left, "FINISHED") == [
        (a.pk, stream.BENEATH),
        (left.pk, "moved"),
    ]  # it was left open beneath one that has ended
    news = [Change(7, job.pk, 1, a.pk, None, 7, stream.BENEATH), Change(7, job.pk, 1, d.pk, c.pk, 7, "moved")]
    told = page._written(news, [], 7)
    assert re.findall('^id: |"step": "([^"]*)"', told, re.MULTILINE) == [str(a.pk), "", str(d.pk)]


def test_200_levels_that_fail_at_once_are_each_told_once() -> None:
    job = make_job()
    top = step = make_step(job)
    for _ in range(200):
        step = make_step(job, parent_step_id=step.pk)
    last = feed.last()
    steps.end_step(job_id=job.pk, step_id=top.pk, status="FAILED", force=True, actor=make_actor(), now=NOW)
    beneath = [change.step_id for change in stream._read(last) if change.verb == stream.BENEATH]
    assert len(beneath) == len(set(beneath)) == 199


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


# Commands


class Listener:
    """A page's stream, and what it tells of commands. It leaves as a browser does for the server: it is cancelled."""

    def __init__(self, client: AsyncClient, address: str) -> None:
        self._client, self._address = client, address
        self._heard: asyncio.Queue[str] = asyncio.Queue()

    async def __aenter__(self) -> "Listener":
        self._listening = asyncio.create_task(self._listen())
        assert "event: open" in await self._heard.get()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listening.cancel()
        with suppress(asyncio.CancelledError):
            await self._listening

    async def _listen(self) -> None:
        async for part in await self._client.get(self._address):
            self._heard.put_nowait(part.decode())

    async def told(self) -> list[dict[str, Any]]:
        """What it tells next of commands."""
        async with asyncio.timeout(SOON):
            while True:
                events = (await self._heard.get()).split("\n\n")
                found = [event.partition("event: command\ndata: ")[2] for event in events]
                if data := [json.loads(each) for each in found if each]:
                    return data


@pytest.fixture
def listen() -> Callable[..., Listener]:
    """Opens the stream of a new user with these roles."""

    def listen(name: str, *roles: Role, address: str = "/stream/?commands=1") -> Listener:
        client = AsyncClient()
        client.force_login(User.objects.filter(username=name).first() or make_user(name, *roles))
        return Listener(client, address)

    return listen


def of_commands(told: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["id"], each["verb"]) for each in told]


def test_a_stream_tells_which_commands_changed(listen: Callable[..., Listener]) -> None:
    worker = Worker(timezone.now())
    viewer = listen("viewer", Role.VIEWER)

    async def follow() -> None:
        async with viewer as listener:
            handle = await sync_to_async(worker.submit)(Waiting)
            [added] = await listener.told()
            row = await sync_to_async(worker.row)(handle)
            assert added.items() >= {"id": str(row.pk), "root": None, "job": str(row.job_id)}.items()
            assert added["verb"] == "added"
            await sync_to_async(worker.turn)()
            [changed] = await listener.told()
            assert (changed["id"], changed["verb"]) == (str(row.pk), "changed")
            assert changed["version"] > added["version"]

    run(follow)


def test_everybody_is_told_only_of_commands_that_they_may_see(listen: Callable[..., Listener]) -> None:
    worker = Worker(timezone.now())
    owner, other = make_user("owner", Role.INJECTOR), make_user("other", Role.INJECTOR)
    streams = [listen("owner"), listen("other"), listen("viewer", Role.VIEWER)]
    actors = [make_actor(owner, *Right), make_actor(other, *Right)]

    async def follow() -> None:
        async with streams[0] as mine, streams[1] as theirs, streams[2] as all_of_it:
            first = await sync_to_async(worker.submit)(Quiet, actor=actors[0])
            assert of_commands(await mine.told()) == [(str(first.command_id), "added")]
            assert of_commands(await all_of_it.told()) == [(str(first.command_id), "added")]
            second = await sync_to_async(worker.submit)(Quiet, actor=actors[1])
            assert of_commands(await theirs.told()) == [(str(second.command_id), "added")]
            assert of_commands(await all_of_it.told()) == [(str(second.command_id), "added")]
            third = await sync_to_async(worker.submit)(Quiet, actor=actors[0])
            assert of_commands(await mine.told()) == [(str(third.command_id), "added")]

    run(follow)


def test_nobody_looks_at_commands_for_a_stream_that_does_not_ask(
    listen: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_commands, "INTERVAL", 0.01)
    looks: list[object] = []
    look = stream_commands.look
    monkeypatch.setattr(stream_commands, "look", lambda now: (looks.append(now), look(now))[1])
    with_commands, without = listen("viewer", Role.VIEWER), listen("viewer", address="/stream/")

    async def follow() -> None:
        async with without:
            await asyncio.sleep(0.2)
            assert not looks
            async with with_commands:
                await asyncio.sleep(0.2)
                assert looks
            await stream.hub.ask(looks.clear)  # behind a look that was begun
            await asyncio.sleep(0.2)
            assert not looks

    run(follow)


def test_one_look_serves_all_streams(
    listen: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_commands, "INTERVAL", 3600)
    worker = Worker(timezone.now())
    streams = [listen(f"viewer-{number}", Role.VIEWER) for number in range(7)]
    asked: list[str] = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        asked.append(sql)
        return execute(sql, *rest)

    async def follow() -> None:
        for listener in streams:
            await listener.__aenter__()
        handle = await sync_to_async(worker.submit)(Quiet)
        await stream.hub.ask(lambda: connection.execute_wrappers.append(note))
        await stream_commands.commands._look_once()
        await stream.hub.ask(connection.execute_wrappers.clear)
        for listener in streams:
            assert of_commands(await listener.told()) == [(str(handle.command_id), "added")]
        assert len([sql for sql in asked if "command_entities" in sql]) == 3
        assert not [sql for sql in asked if not sql.startswith("SELECT")]
        for listener in streams:
            await listener.__aexit__()

    run(follow)


def test_a_slow_page_is_told_of_a_command_once_and_that_it_is_new() -> None:
    worker = Worker(timezone.now())
    viewer = make_actor(make_user("viewer"), Right.VIEW_ALL)
    commands = stream_commands.commands

    async def follow() -> None:
        async with stream.hub.reader(viewer) as reader, commands.followed_by(reader) as followed:
            handle = await sync_to_async(worker.submit)(Quiet)
            await commands._look_once()
            await sync_to_async(worker.turn)()
            await commands._look_once()
            [news] = followed.take()
            assert news.change
            assert (news.change.command_id, news.change.added) == (handle.command_id, True)
            assert followed.take() == []

    run(follow)


def test_who_cannot_be_told_one_by_one_is_told_to_look_at_all(
    listen: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_commands, "MANY", 3)
    worker = Worker(timezone.now())
    viewer = listen("viewer", Role.VIEWER)

    async def follow() -> None:
        async with viewer as listener:
            for _ in range(5):
                await sync_to_async(worker.submit)(Quiet)
            [told] = await listener.told()
            assert told["id"] is None

    run(follow)


def test_while_there_are_more_live_commands_than_are_watched_pages_look_at_all_now_and_then(
    listen: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    from coordinator import changes

    monkeypatch.setattr(changes, "LIVE", 2)
    monkeypatch.setattr(stream_commands, "UNSEEN", 0.3)
    worker = Worker(timezone.now())
    for _ in range(3):
        worker.submit(Quiet)
    viewer = listen("viewer", Role.VIEWER)

    async def follow() -> None:
        async with viewer as listener:
            for _ in range(2):
                [told] = await listener.told()
                assert told["id"] is None

    run(follow)


def test_a_look_that_fails_misses_nothing(
    listen: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(timezone.now())
    viewer = listen("viewer", Role.VIEWER)
    look = stream_commands.look

    def fail(now: object) -> None:
        raise OperationalError("away")

    async def follow() -> None:
        async with viewer as listener:
            monkeypatch.setattr(stream_commands, "look", fail)
            handle = await sync_to_async(worker.submit)(Quiet)
            await asyncio.sleep(2 * stream_commands.INTERVAL)
            monkeypatch.setattr(stream_commands, "look", look)
            assert of_commands(await listener.told()) == [(str(handle.command_id), "added")]

    run(follow)
