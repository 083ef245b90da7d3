"""Every address times every method times every kind of user, held against permissions.txt (H12, H13)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

import tests.coordinator.commands  # noqa: F401 - registers them
from coordinator.executor import execute_async
from coordinator.models import CommandEntity
from taskmonitor.models import AccessToken, Actor, Job, Right, Role, Step
from taskmonitor.services.access import add_token
from tests.api.caller import body, fault
from tests.factories import make_actor, make_job, make_step, make_user

TABLE = Path(__file__).with_name("permissions.txt")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "FOO")
DEAD = ("disabled", "expired", "revoked")
ROLES = {
    "plain": (),
    "staff": (),
    "viewer": (Role.VIEWER,),
    "injector": (Role.INJECTOR,),
    "operator": (Role.OPERATOR,),
    "super": (),
}
KINDS = ("nobody", *DEAD, *ROLES, "both", *AccessToken.SCOPES)
FORM, XML, LINES = "application/x-www-form-urlencoded", "application/xml", "application/x-ndjson"
BODIES = {  # what a right request says, by the end of the address
    "jobs": (XML, "<job><description>d</description></job>"),
    "steps": (XML, "<step><description>d</description><type>executing</type></step>"),
    "end": (XML, "<action/>"),
    "progress": (XML, "<progress><current>1</current></progress>"),
    "batch": (LINES, '{"op": "heartbeat"}'),
    "commands": (XML, "<command><type>Plain</type></command>"),
    "event": (XML, "<event/>"),
    **dict.fromkeys(("poll", "fail", "resume", "remove"), (XML, "<action><reason>r</reason></action>")),
}


@dataclass(frozen=True)
class Route:
    """One address as urls.py has it."""

    pattern: str

    @property
    def door(self) -> str:
        """Who serves it: api, sso, admin or pages."""
        first = self.pattern.partition("/")[0]
        return {"api": "api", "ovirt-engine": "sso", "admin": "admin"}.get(first, "pages")

    @property
    def has_owner(self) -> bool:
        return re.search("job_id|user_id|token_id|command_id", self.pattern) is not None

    def path(self, step: Step) -> str:
        """The address of the step, of its job, or of what else belongs to the job's owner."""
        path = f"/{self.pattern}"
        for sign, value in places(step).items():
            path = path.replace(sign, value)
        assert not re.search(r"[<>^$()]", path), f"tell this test what to put into {path}"
        return path

    def post(self, step: Step) -> tuple[str, str]:
        """Content type and body of a right request."""
        return BODIES.get(self.path(step).rpartition("/")[2], (XML, "")) if self.door == "api" else (FORM, "")


@cache
def places(step: Step) -> dict[str, str]:
    """What stands for the parameters of an address."""
    owner = step.job.owner_id
    token = AccessToken.objects.filter(user=owner).first()
    command = CommandEntity.objects.filter(user=owner).first()
    return {
        "<uuid:job_id>": str(step.job_id),
        "<uuid:step_id>": str(step.pk),
        "<int:user_id>": str(owner),
        "<int:token_id>": str(token.pk if token else 0),
        "<uuid:command_id>": str(command.pk if command else UUID(int=0)),
        "<path:object_id>": "0",
        "<path:content_type_id>": "0",
        "<id>": "0",
        "^(?P<app_label>taskmonitor|auth)/$": "auth/",
        "(?P<url>.*)$": "nothing",
    }


def routes(resolver: URLResolver | None = None, before: str = "") -> Iterator[Route]:
    """All addresses that there are."""
    for entry in (resolver or get_resolver()).url_patterns:
        pattern = before + str(entry.pattern)
        if isinstance(entry, URLPattern):
            yield Route(pattern)
        else:
            yield from routes(entry, pattern)


ROUTES = list(routes())
OF_JOBS = [route for route in ROUTES if route.door == "api" and "job_id" in route.pattern]


@dataclass(frozen=True)
class Row:
    """What one method at some addresses answers to each kind of user."""

    method: str
    pattern: str
    answers: dict[str, str]

    def answer(self, kind: str, own: bool) -> str:
        own_or_both, _, theirs = self.answers["dead" if kind in DEAD else kind].partition("/")
        return own_or_both if own else theirs or own_or_both


def table() -> list[Row]:
    """permissions.txt, with its columns by name."""
    lines = [line.split() for line in TABLE.read_text().splitlines() if line.strip() and line[0] != "#"]
    columns = lines[0][2:]
    return [
        Row(method, pattern, dict(zip(columns, cells, strict=True))) for method, pattern, *cells in lines[1:]
    ]


ROWS = table()


def row_of(route: Route, method: str) -> Row | None:
    """The first row that fits; `*` in a pattern stands for anything, "/" for the address without a path."""
    pattern = route.pattern or "/"
    rows = (row for row in ROWS if row.method == method)
    return next((row for row in rows if row.pattern == pattern or fnmatchcase(pattern, row.pattern)), None)


@dataclass
class World:
    """People, each with a job of their own, and a job of somebody else's."""

    clients: dict[str, Client]
    own: dict[str, Step]
    theirs: Step

    def ask(self, kind: str, method: str, route: Route, *, own: bool = True) -> HttpResponse:
        """The answer to one request, which leaves nothing behind."""
        step = self.own[kind] if own else self.theirs
        client = self.clients[kind]
        session = client.cookies.get("sessionid")
        with transaction.atomic():
            content_type, text = route.post(step)
            response = client.generic(method, route.path(step), text, content_type)
            transaction.set_rollback(True)
        client.cookies.clear()
        if session:
            client.cookies["sessionid"] = session.value
        return response


@pytest.fixture
def world(db: None) -> World:
    clients, own = {"nobody": Client()}, {}
    for kind in KINDS[1:]:
        user = make_user(kind, *ROLES.get(kind, (Role.INJECTOR, Role.OPERATOR)))
        own[kind] = _work(user)
        scope = [kind] if kind in AccessToken.SCOPES else list(AccessToken.SCOPES)
        token, secret = add_token(
            user_id=user.pk, name="t", scope=scope, expires=None, actor=make_actor(user), now=timezone.now()
        )
        if kind in (*DEAD, *AccessToken.SCOPES):
            clients[kind] = Client(headers={"Authorization": f"Bearer {secret}"})
        else:
            clients[kind] = Client()
            clients[kind].force_login(user)
        if kind == "revoked":
            token.delete()
    past = timezone.now() - timedelta(seconds=1)
    AccessToken.objects.filter(user__username="expired").update(expires=past)
    User.objects.filter(username="disabled").update(is_active=False)
    User.objects.filter(username__in=("staff", "super")).update(is_staff=True)
    User.objects.filter(username="super").update(is_superuser=True)
    theirs = _work(make_user("somebody", Role.INJECTOR))
    return World(clients, {**own, "nobody": theirs}, theirs)


def _work(user: User) -> Step:
    actor = Actor(user.pk, user.username, frozenset(Right))
    execute_async("Quiet", now=timezone.now(), actor=actor)
    return make_step(make_job(actor, now=timezone.now()), actor, now=timezone.now())


@pytest.mark.mission("S30", "S31", "S35", "S37", "D25")
@pytest.mark.parametrize("door", ["api", "sso", "pages", "admin"])
def test_each_method_answers_each_kind_of_user_as_the_table_has_it(world: World, door: str) -> None:
    wrong = []
    for route in (route for route in ROUTES if route.door == door):
        for method in METHODS:
            wrong += _differences(world, route, method)
    assert not wrong, "\n".join(wrong)


def _differences(world: World, route: Route, method: str) -> Iterator[str]:
    row = row_of(route, method)
    if row is None:
        response = world.ask("super", method, route)
        if response.status_code != 405 or not response.get("Allow"):
            yield f"{method} {route.pattern} answers {response.status_code}, but has no row"
        return
    for kind in KINDS:
        for own in (True, False) if route.has_owner else (True,):
            found, expected = world.ask(kind, method, route, own=own).status_code, row.answer(kind, own)
            if str(found) != expected:
                whose = "their own" if own else "somebody else's"
                yield f"{method} {route.pattern} by {kind} on {whose}: {found}, not {expected}"


def test_no_row_is_left_over() -> None:
    used = [row_of(route, method) for route in ROUTES for method in METHODS]
    assert [f"{row.method} {row.pattern}" for row in ROWS if row not in used] == []


def test_unknown_methods_of_the_api_are_405_in_its_format(world: World) -> None:
    for route in (route for route in ROUTES if route.door == "api"):
        for method in METHODS:
            if row_of(route, method) is None:
                response = world.ask("injector", method, route)
                assert fault(response)[0] == 405
                assert method not in response["Allow"].split(", ")


@pytest.mark.parametrize("kind", ["nobody", "plain"])
def test_head_is_as_get_and_options_tells_the_methods(world: World, kind: str) -> None:
    for route in (route for route in ROUTES if route.door == "api"):
        if row := row_of(route, "GET"):
            assert str(world.ask(kind, "HEAD", route).status_code) == row.answer(kind, own=True)
        told = world.ask(kind, "OPTIONS", route)
        assert told.status_code in (401, 405) or (told.status_code, told.content) == (200, b"")
        assert "text/html" not in told.get("Content-Type", "")


def test_a_cookie_alone_changes_nothing(world: World) -> None:
    """H9: whatever is posted with a session but no CSRF token is refused."""
    client = world.clients["super"]
    client.handler.enforce_csrf_checks = True
    for route in ROUTES:
        if route.door != "sso":
            assert world.ask("super", "POST", route).status_code in (403, 405), route.pattern


@pytest.mark.mission("S35", "S37")
@pytest.mark.parametrize("kind", ["plain", "viewer", "operator", "read", "nobody"])
def test_who_may_not_inject_leaves_nothing_behind(world: World, kind: str) -> None:
    before = _state()
    for route in (route for route in ROUTES if route.door == "api" and row_of(route, "POST")):
        if not re.search("clear$|/commands", route.pattern):
            for step in (world.own[kind], world.theirs):
                content_type, text = route.post(step)
                answer = world.clients[kind].post(route.path(step), text, content_type)
                assert answer.status_code == (401 if kind == "nobody" else 403)
    assert _state() == before


def _state() -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in (Job, Step)]


@pytest.mark.mission("D15", "D25")
@pytest.mark.parametrize("accept", ["application/xml", "application/json"])
@pytest.mark.parametrize("route", OF_JOBS, ids=lambda route: route.pattern)
def test_what_one_may_not_see_reads_as_if_it_were_not_there(world: World, accept: str, route: Route) -> None:
    """H6, H12: the same text for "absent" and "not yours"."""
    method = "GET" if row_of(route, "GET") else "POST"
    content_type, text = route.post(world.theirs)
    path, absent = route.path(world.theirs), str(uuid4())

    def told(path: str) -> tuple[int, str, str]:
        client = world.clients["injector"]
        return fault(client.generic(method, path, text, content_type, headers={"Accept": accept}))

    status, reason, words = told(path)
    assert status == 404
    hidden = str(world.theirs.pk if str(world.theirs.pk) in words else world.theirs.job_id)
    assert told(path.replace(hidden, absent)) == (status, reason, words.replace(hidden, absent))
    world.theirs.job.delete()
    assert told(path) == (status, reason, words)


@pytest.mark.parametrize(
    "path",
    [
        "/api/jobs",
        "/api/jobs?max=100",
        "/api/jobs?follow=steps,owner",
        "/api/jobs?search=id={job}",
        "/api/jobs?search=owner=somebody",
        "/api/jobs?search=description!=x",
        "/api/jobs?filter=false",
        "/api/users",
        "/jobs/",
        "/jobs/rows/",
    ],
)
def test_no_list_or_search_shows_what_is_not_ones_own(world: World, path: str) -> None:
    """H12."""
    job = world.theirs.job
    response = world.clients["injector"].get(path.format(job=job.pk))
    assert response.status_code == 200
    shown = body(response).decode()
    assert str(job.pk) not in shown
    assert "somebody<" not in shown


@pytest.mark.mission("S31", "S32", "S33", "S34")
def test_the_role_opens_the_door_at_the_next_request(world: World) -> None:
    route, user = Route("api/jobs"), User.objects.get(username="plain")
    assert world.ask("super", "POST", route).status_code == 201
    assert world.ask("plain", "POST", route).status_code == 403
    user.groups.add(Group.objects.get(name=Role.INJECTOR))
    assert world.ask("plain", "POST", route).status_code == 201
    user.groups.clear()
    assert world.ask("plain", "POST", route).status_code == 403
