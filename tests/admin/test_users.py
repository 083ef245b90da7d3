"""Granting and revoking in the admin: effective at the next request, and audited."""

import re
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse

from taskmonitor.models import (
    AccessToken,
    AuditEntry,
    IdempotencyRecord,
    Job,
    Right,
    Role,
    Session,
    TemporaryPassword,
)
from taskmonitor.selectors import access
from taskmonitor.services import login_record
from taskmonitor.services.accounts import require_password_change
from tests.admin.conftest import ALL_OF_AN_ADMIN
from tests.factories import NOW, PASSWORD, make_actor, make_job, make_role, make_user

USERS = reverse("admin:auth_user_changelist")


def act(client: Client, action: str, *users: User, confirmed: bool = True, **fields: str) -> Any:
    given = {"action": action, "_selected_action": [user.pk for user in users], **fields}
    return client.post(USERS, given | ({"confirmed": "yes"} if confirmed else {}), follow=True)


def audited() -> list[tuple[str, str, str, str]]:
    """All but who logged in."""
    entries = AuditEntry.objects.exclude(verb__in=login_record.VERBS).order_by("pk")
    return list(entries.values_list("actor_name", "verb", "subject", "detail"))


def post_a_job(user: User) -> int:
    """The status that the user's plug-in gets for POST /api/jobs."""
    basic = b64encode(f"{user.username}:{PASSWORD}".encode()).decode()
    return (
        Client()
        .post(
            "/api/jobs",
            "<job><description>clone</description></job>",
            content_type="application/xml",
            headers={"Authorization": f"Basic {basic}"},
        )
        .status_code
    )


def page_of(user: User) -> str:
    return reverse("admin:auth_user_change", args=[user.pk])


def save(client: Client, user: User, **changes: Any) -> Any:
    """Change fields on the user's page, leaving the others as they are."""
    user = User.objects.get(pk=user.pk)
    fields = {
        "username": user.username,
        "date_joined_0": user.date_joined.date().isoformat(),
        "date_joined_1": user.date_joined.time().isoformat("seconds"),
        "groups": list(user.groups.values_list("pk", flat=True)),
        "user_permissions": list(user.user_permissions.values_list("pk", flat=True)),
        **{power: "on" for power in ("is_active", "is_staff", "is_superuser") if getattr(user, power)},
        **changes,
    }
    given = {name: value for name, value in fields.items() if value is not None}
    response = client.post(page_of(user), given)
    assert response.status_code == 302, response.content.decode()
    return response


@pytest.mark.mission("S31", "S33", "S34", "S35")
def test_a_granted_user_may_inject_at_the_next_request_and_a_revoked_one_not(
    admin: Client, plugin: User
) -> None:
    plugin.set_password(PASSWORD)
    plugin.save()
    assert post_a_job(plugin) == 403
    assert not Job.objects.exists()
    page = act(admin, "grant_external_tasks", plugin)
    assert "Granted to 1" in page.content.decode()
    assert access.actor(plugin).may(Right.INJECT)
    assert post_a_job(plugin) == 201
    act(admin, "revoke_external_tasks", plugin)
    assert post_a_job(plugin) == 403
    assert Job.objects.count() == 1
    assert audited() == [
        ("root", "granted", "backup", "External tasks creator"),
        ("root", "revoked", "backup", "External tasks creator"),
    ]


@pytest.mark.mission("S34")
def test_the_action_first_lists_the_users_and_does_nothing(admin: Client, plugin: User) -> None:
    other = make_user("other")
    page = act(admin, "grant_external_tasks", plugin, other, confirmed=False).content.decode()
    assert "Grant the role “External tasks creator” to" in page
    assert "<li><bdi>backup</bdi></li>" in page
    assert "<li><bdi>other</bdi></li>" in page
    assert "<li>root</li>" not in page
    assert not User.objects.filter(groups__name=Role.INJECTOR).exists()
    assert audited() == []


def test_all_users_of_a_long_list_can_be_granted_at_once(admin: Client) -> None:
    for number in range(120):
        make_user(f"user-{number}")
    page = act(
        admin, "grant_external_tasks", User.objects.get(username="root"), confirmed=False, select_across="1"
    )
    assert page.content.decode().count("_selected_action") == 1
    act(admin, "grant_external_tasks", User.objects.get(username="root"), select_across="1")
    assert User.objects.filter(groups__name=Role.INJECTOR).count() == 121


@pytest.mark.mission("S34")
def test_who_has_the_role_is_not_granted_it_twice(admin: Client, plugin: User) -> None:
    for _ in range(2):
        act(admin, "grant_external_tasks", plugin)
    assert len(audited()) == 1


@pytest.mark.mission("S32")
def test_the_list_ticks_who_may_inject_by_whatever_way(admin: Client, plugin: User) -> None:
    make_user("creator", Role.INJECTOR)
    make_user("viewer", Role.VIEWER)
    direct = make_user("direct")
    direct.user_permissions.add(Permission.objects.get(codename=Right.INJECT))
    ticked = {
        user.username: user.injects for user in admin.get(USERS).context["cl"].queryset.order_by("username")
    }
    assert ticked == {"backup": False, "creator": True, "direct": True, "root": True, "viewer": False}
    only = admin.get(USERS, {"injects": "yes"}).context["cl"].queryset
    assert {user.username for user in only} == {"creator", "direct", "root"}
    assert {user.username for user in admin.get(USERS, {"injects": "no"}).context["cl"].queryset} == {
        "backup",
        "viewer",
    }


@pytest.mark.mission("S34")
def test_each_change_on_the_users_page_is_audited(admin: Client, plugin: User) -> None:
    creators, viewers = make_role(Role.INJECTOR), make_role(Role.VIEWER)
    traces = Permission.objects.get(codename=Right.TRACES)
    save(admin, plugin, groups=[creators.pk, viewers.pk], user_permissions=[traces.pk])
    assert access.actor(plugin).rights == {Right.INJECT, Right.VIEW_ALL, Right.TRACES}
    save(admin, plugin, groups=[viewers.pk], user_permissions=None, is_superuser="on", username="backup-2")
    save(admin, plugin, is_active=None, email="b@example.org")
    assert audited() == [
        ("root", "granted", "backup", "External tasks creator"),
        ("root", "granted", "backup", "Task viewer"),
        ("root", "granted", "backup", "taskmonitor.view_traces"),
        ("root", "changed", "backup-2", "username: backup -> backup-2"),
        ("root", "changed", "backup-2", "is_superuser: False -> True"),
        ("root", "revoked", "backup-2", "External tasks creator"),
        ("root", "revoked", "backup-2", "taskmonitor.view_traces"),
        ("root", "changed", "backup-2", "is_active: True -> False"),
    ]


def test_making_deleting_and_giving_a_password_are_audited_without_the_password(
    admin: Client, plugin: User
) -> None:
    given = {"username": "new", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    assert admin.post(reverse("admin:auth_user_add"), given).status_code == 302
    password = reverse("admin:auth_user_password_change", args=[plugin.pk])
    other = {"usable_password": "true", "password1": "another good horse", "password2": "another good horse"}
    assert admin.post(password, {**other, "password2": "mistyped"}).status_code == 200
    assert admin.post(password, other).status_code == 302
    assert admin.post(reverse("admin:auth_user_delete", args=[plugin.pk]), {"post": "yes"}).status_code == 302
    act(admin, "delete_selected", User.objects.get(username="new"), post="yes")
    assert audited() == [
        ("root", "added", "new", ""),
        ("root", "changed", "backup", "password"),
        ("root", "deleted", "backup", ""),
        ("root", "deleted", "new", ""),
    ]
    assert set(User.objects.values_list("username", flat=True)) == {"root"}


def test_the_audit_outlives_its_actor(admin: Client, plugin: User) -> None:
    act(admin, "grant_external_tasks", plugin)
    User.objects.filter(username="root").delete()
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.actor_name) == (None, "root")


def test_changing_a_role_is_audited(admin: Client) -> None:
    role = Group.objects.get(name=Role.VIEWER)
    traces, view_all = (Permission.objects.get(codename=right) for right in (Right.TRACES, Right.VIEW_ALL))
    page = reverse("admin:auth_group_change", args=[role.pk])
    admin.post(page, {"name": "Watchers", "permissions": [traces.pk]})
    admin.post(reverse("admin:auth_group_add"), {"name": "Night shift", "permissions": [view_all.pk]})
    assert audited() == [
        ("root", "changed", "role Watchers", "name: Task viewer -> Watchers"),
        ("root", "granted", "role Watchers", "taskmonitor.view_traces"),
        ("root", "revoked", "role Watchers", "taskmonitor.view_all_jobs"),
        ("root", "added", "role Night shift", ""),
        ("root", "granted", "role Night shift", "taskmonitor.view_all_jobs"),
    ]


@pytest.mark.mission("S32", "S33")
def test_the_roles_page_shows_what_each_role_carries(admin: Client) -> None:
    response = admin.get(reverse("admin:auth_group_changelist"))
    assert list(response.context["rights"]) == [
        "inject_external_tasks",
        "view_all_jobs",
        "control_jobs",
        "view_traces",
    ]
    assert dict(response.context["grid"]) == {
        "External tasks creator": [True, False, False, False],
        "Task operator": [False, True, True, False],
        "Task viewer": [False, True, False, False],
        "Trace viewer": [False, False, False, True],
    }
    assert "✔" in response.content.decode()


def test_an_admin_who_is_no_superuser_grants_the_role_and_gives_nothing_else_away(
    clerk: Callable[..., Client], plugin: User
) -> None:
    make_role(Role.INJECTOR)
    boss = make_user("boss", is_superuser=True)
    client = clerk(*ALL_OF_AN_ADMIN)
    act(client, "grant_external_tasks", plugin)
    assert access.actor(plugin).may(Right.INJECT)
    save(client, plugin, is_superuser="on", is_staff="on", groups=None, first_name="B")
    plugin.refresh_from_db()
    assert (plugin.first_name, plugin.is_superuser, plugin.is_staff) == ("B", False, False)
    assert plugin.groups.get().name == Role.INJECTOR
    assert client.post(page_of(boss), {"username": "boss"}).status_code == 403
    assert client.get(reverse("admin:auth_user_password_change", args=[boss.pk])).status_code == 403
    assert client.get(reverse("admin:auth_group_add")).status_code == 403


@pytest.mark.mission("S31")
@pytest.mark.parametrize("codenames", [("view_user",), ("view_user", "change_user")])
def test_nobody_grants_what_they_do_not_have(
    clerk: Callable[..., Client], plugin: User, codenames: tuple[str, ...]
) -> None:
    make_role(Role.INJECTOR)
    act(clerk(*codenames), "grant_external_tasks", plugin)
    assert not access.actor(plugin).may(Right.INJECT)
    assert audited() == []


@pytest.mark.parametrize("must_change", [True, False])
def test_a_password_that_an_admin_gives_is_to_be_changed_unless_they_say_otherwise(
    admin: Client, plugin: User, must_change: bool
) -> None:
    pages = [reverse("admin:auth_user_add"), reverse("admin:auth_user_password_change", args=[plugin.pk])]
    for page in pages:
        assert re.search(
            r'<input type="checkbox" name="must_change"[^>]* checked', admin.get(page).content.decode()
        )
        given = {"username": "new", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
        given |= {"must_change": "on"} if must_change else {}
        assert admin.post(page, given | {"set-password": "x"}).status_code == 302
    lent = TemporaryPassword.objects.values_list("user__username", flat=True)
    assert set(lent) == ({"new", "backup"} if must_change else set())
    browser = Client()
    browser.post("/login/", {"username": "new", "password": PASSWORD})
    expected = (302, "/account/password/") if must_change else (200, None)
    answer = browser.get("/jobs/")
    assert (answer.status_code, answer.headers.get("Location")) == expected


def test_a_password_that_an_admin_gives_is_held_against_the_rules(admin: Client, plugin: User) -> None:
    pages = [reverse("admin:auth_user_add"), reverse("admin:auth_user_password_change", args=[plugin.pk])]
    for page in pages:
        given = {"username": "new", "usable_password": "true", "password1": "x", "password2": "x"}
        answer = admin.post(page, given)
        assert answer.status_code == 200
        assert "This password is too short" in answer.content.decode()
    assert not User.objects.filter(username="new").exists()


@pytest.mark.parametrize("change", ["password", "inactive", "action"])
def test_an_admin_ends_the_logins_of_an_account(admin: Client, plugin: User, change: str) -> None:
    browser = Client()
    browser.force_login(plugin)
    for name in ("", "nightly"):
        AccessToken.objects.create(user=plugin, name=name, digest=name, created=NOW)
    if change == "password":
        given = {"usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
        page = reverse("admin:auth_user_password_change", args=[plugin.pk])
        assert admin.post(page, given | {"set-password": "x"}).status_code == 302
    elif change == "inactive":
        save(admin, plugin, is_active=None)
        save(admin, plugin, is_active="on")
    else:
        act(admin, "end_logins", plugin)
        assert audited() == [("root", "ended logins", "backup", "")]
    assert browser.get("/jobs/").status_code == 302
    left = list(AccessToken.objects.values_list("name", flat=True))
    assert left == (["nightly"] if change == "action" else [])


def test_a_user_with_logins_is_deleted_and_no_page_shows_what_opens_them(admin: Client, plugin: User) -> None:
    browser = Client()
    browser.force_login(plugin)
    require_password_change(plugin, NOW)
    page = reverse("admin:auth_user_delete", args=[plugin.pk])
    shown = admin.get(page).content.decode()
    assert "session since" in shown
    assert browser.session.session_key not in shown
    assert admin.post(page, {"post": "yes"}).status_code == 302
    assert not Session.objects.filter(user=plugin.pk).exists()


@pytest.fixture(params=["role", "permission", "inactive", "staff", "superuser"])
def mightier(request: pytest.FixtureRequest, db: None) -> User:
    """A user who may something that a clerk who changes users may not."""
    user = make_user("mighty")
    if request.param == "superuser":
        user.is_superuser = True
    elif request.param == "permission":
        user.user_permissions.add(Permission.objects.get(codename=Right.CONTROL))
    elif request.param == "staff":
        user.is_staff = True
        user.user_permissions.add(Permission.objects.get(codename="delete_group"))
    else:
        user.groups.add(make_role(Role.OPERATOR))
        user.is_active = request.param != "inactive"
    user.set_password(PASSWORD)
    user.save()
    return user


def test_nobody_changes_an_account_that_may_more_than_they(
    clerk: Callable[..., Client], mightier: User
) -> None:
    make_role(Role.INJECTOR)
    client = clerk(*ALL_OF_AN_ADMIN, "delete_user", "delete_accesstoken", "view_accesstoken")
    AccessToken.objects.create(user=mightier, digest="x", created=NOW)
    before = User.objects.values().get(pk=mightier.pk)
    password = reverse("admin:auth_user_password_change", args=[mightier.pk])
    other = {"usable_password": "true", "password1": "another good horse", "password2": "another good horse"}
    for page in (page_of(mightier), password, reverse("admin:auth_user_delete", args=[mightier.pk])):
        assert (
            client.post(
                page, {"username": "mighty", "email": "me@example.org", "post": "yes"} | other
            ).status_code
            == 403
        )
    for action in ("grant_external_tasks", "revoke_external_tasks", "end_logins"):
        assert "mighty may do what you may not" in act(client, action, mightier).content.decode()
    assert act(client, "delete_selected", mightier, post="yes").status_code == 403
    tokens = reverse("admin:taskmonitor_accesstoken_changelist")
    revoked = {"action": "revoke", "confirmed": "yes", "_selected_action": [AccessToken.objects.get().pk]}
    assert "mighty may do what you may not" in client.post(tokens, revoked, follow=True).content.decode()
    assert User.objects.values().get(pk=mightier.pk) == before
    assert AccessToken.objects.exists()
    assert audited() == []


def test_among_equals_an_account_can_be_changed(clerk: Callable[..., Client]) -> None:
    client = clerk(*ALL_OF_AN_ADMIN)
    peer = make_user("peer", is_staff=True)
    peer.user_permissions.set(Permission.objects.filter(codename__in=ALL_OF_AN_ADMIN))
    save(client, peer, first_name="P")
    assert User.objects.get(pk=peer.pk).first_name == "P"


def test_a_role_that_was_made_to_carry_more_is_not_granted_by_who_has_less(
    clerk: Callable[..., Client], plugin: User
) -> None:
    make_role(Role.INJECTOR).permissions.add(Permission.objects.get(codename="change_user"))
    make_role(Role.INJECTOR).permissions.add(Permission.objects.get(codename="delete_user"))
    act(clerk(*ALL_OF_AN_ADMIN), "grant_external_tasks", plugin)
    assert not plugin.groups.exists()


def test_only_the_staff_comes_in(plugin: User) -> None:
    client = Client()
    client.force_login(plugin)
    assert act(client, "grant_external_tasks", plugin).redirect_chain[0][0].startswith("/admin/login/")
    assert not access.actor(plugin).may(Right.INJECT)


@pytest.mark.parametrize("by", ["page", "action"])
def test_who_may_delete_users_deletes_all_that_is_only_theirs_along(
    clerk: Callable[..., Client], plugin: User, by: str
) -> None:
    visitor = clerk("view_user", "delete_user")
    AccessToken.objects.create(digest="1", user=plugin, created=NOW)  # a login of an oVirt client
    AccessToken.objects.create(digest="2", user=plugin, name="nightly", created=NOW)
    IdempotencyRecord.objects.create(user=plugin, key="once", fingerprint="", created=NOW)
    LogEntry.objects.create(user=plugin, action_flag=CHANGE, object_repr="something")
    job = make_job(make_actor(plugin))
    if by == "page":
        visitor.post(reverse("admin:auth_user_delete", args=[plugin.pk]), {"post": "yes"})
    else:
        act(visitor, "delete_selected", plugin, post="yes")
    assert not User.objects.filter(pk=plugin.pk).exists()
    assert not AccessToken.objects.exists()
    assert not IdempotencyRecord.objects.exists()
    assert not LogEntry.objects.filter(user_id=plugin.pk).exists()
    job.refresh_from_db()
    assert job.owner is None
    assert ("clerk", "deleted", "backup", "") in audited()


def test_who_may_not_delete_users_deletes_none(clerk: Callable[..., Client], plugin: User) -> None:
    visitor = clerk("view_user", "change_user")
    answer = visitor.post(reverse("admin:auth_user_delete", args=[plugin.pk]), {"post": "yes"})
    assert answer.status_code == 403
    superuser = make_user("boss", is_superuser=True)
    deleting = User.objects.get(username="clerk")
    deleting.user_permissions.add(Permission.objects.get(codename="delete_user"))
    act(visitor, "delete_selected", superuser, post="yes")
    assert User.objects.filter(pk__in=[plugin.pk, superuser.pk]).count() == 2
