"""Who may ask at all: passwords, tokens, sessions."""

import base64
import json
import re
import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.conf import global_settings
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from taskmonitor.errors import LoginRefused, TooManyAttempts
from taskmonitor.models import AccessToken, AuditEntry, Job, Role
from taskmonitor.services import login
from taskmonitor.services.access import add_token, revoke_token
from tests.api.caller import JSON, Caller, body, fault
from tests.factories import NOW, PASSWORD, forget_failed_logins, make_actor, make_job, make_user

TOKEN, LOGOUT = "/ovirt-engine/sso/oauth/token", "/ovirt-engine/services/sso-logout"
CHALLENGE = 'Basic realm="Task Monitor", charset="UTF-8"'
HTTP_GRANT = {"grant_type": "urn:ovirt:params:oauth:grant-type:http", "scope": "ovirt-app-api"}
PROFILES = [
    "@internal",
    "@internal-authz",
    "@internalsso",
    "@ovirt@internalsso",
    "@ovirt",
    "@internalkeycloak-authz",
]
JOB = "<job><description>Clone</description></job>"


@pytest.fixture(autouse=True)
def _cheap(settings: Any) -> None:
    """Passwords are hashed cheaply but where the time is what is tested."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def user(owner: User) -> User:
    """An injector with a password."""
    owner.set_password(PASSWORD)
    owner.save()
    return owner


def basic(name: str | bytes, password: str | bytes = PASSWORD) -> dict[str, str]:
    name, password = (one.encode() if isinstance(one, str) else one for one in (name, password))
    return {"Authorization": "Basic " + base64.b64encode(name + b":" + password).decode()}


def get(headers: dict[str, str], path: str = "/api/users", **extra: Any) -> HttpResponse:
    return Client().get(path, headers=headers, **extra)


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


class TestPasswords:
    def test_a_name_and_a_password(self, user: User) -> None:
        assert get(basic("plugin")).status_code == 200
        assert Client().post("/api/jobs", JOB, "application/xml", headers=basic("plugin")).status_code == 201
        assert Job.objects.get().owner == user

    @pytest.mark.parametrize("profile", PROFILES)
    def test_a_profile_of_ovirts_is_no_part_of_the_name(self, user: User, profile: str) -> None:
        assert get(basic("plugin" + profile)).status_code == 200
        form = {"grant_type": "password", "username": "plugin" + profile, "password": PASSWORD}
        assert Client().post(TOKEN, form).status_code == 200
        assert (
            Client().post("/login/", {"username": "plugin" + profile, "password": PASSWORD}).status_code
            == 302
        )

    @pytest.mark.parametrize(
        "name", ["anna@example.com", "anna@ovirt", "anna@internal", "@internal", "x@internal.org"]
    )
    def test_a_name_with_an_at_sign_is_first_what_it_says(self, user: User, name: str) -> None:
        for one, word in ((name, "their own word"), ("anna", PASSWORD)):
            made = make_user(one)
            made.set_password(word)
            made.save()
        assert get(basic(name, "their own word")).status_code == 200
        assert get(basic(name)).status_code == 401
        assert get(basic(f"{name}@internal", "their own word")).status_code == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Authorization": ""},
            {"Authorization": "Basic"},
            {"Authorization": "Basic "},
            {"Authorization": "Basic !!!!"},
            {"Authorization": "Basic \xe9\xe9\xe9\xe9"},
            {"Authorization": "Basic YQ"},
            {"Authorization": "Basic " + "A" * 60_000},
            {"Authorization": "Digest username=plugin"},
            {"Authorization": "Negotiate YQ=="},
            {"Authorization": "Bearer"},
            {"Authorization": "Bearer "},
            {"Authorization": "Bearer nonsense"},
            {"Authorization": "Bearer \xff\xfe"},
            {"Authorization": "Bearer " + "x" * 60_000},
            basic("plugin", "wrong"),
            basic("plugin", ""),
            basic("nobody"),
            basic("", ""),
            basic(b"\xff\xfe", b"\xff"),
            basic("plugin\0"),
            basic("\0"),
            basic("plugin@internal@internal"),
            basic("PLUGIN"),
            basic("plugin", PASSWORD + "\0"),
            basic("x" * 5000),
            basic("plugin@ipa"),
            basic("plugin@example.internal"),
            basic("plugin@internal@ovirt"),
            basic("plugin@Internal"),
            basic("plugin@internal\n"),
        ],
        ids=range(31),
    )
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_anything_else_is_401_with_a_challenge(
        self, user: User, headers: dict[str, str], method: str
    ) -> None:
        for format_ in ("application/xml", JSON):
            response = Client().generic(
                method, "/api/jobs", JOB, "application/xml", headers={**headers, "Accept": format_}
            )
            assert fault(response)[:2] == (401, "Unauthorized")
            assert response["WWW-Authenticate"] == CHALLENGE
            assert PASSWORD not in body(response).decode()
        assert not Job.objects.exists()

    def test_a_right_password_is_checked_once(self, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
        checks = counted(monkeypatch)
        assert [get(basic("plugin")).status_code for _ in range(5)] == [200] * 5
        assert len(checks) == 1

    def test_what_was_right_is_remembered_for_minutes_only(
        self, user: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        checks = counted(monkeypatch)
        for minutes, expected in ((0, 1), (4, 1), (8, 1), (14, 2), (-60, 3)):  # since its last use
            now = NOW + timedelta(minutes=minutes)
            login.verified(name="plugin", password=PASSWORD, address="", now=now)
            assert len(checks) == expected

    @pytest.mark.parametrize(
        "change",
        [
            lambda user: (user.set_password("another horse"), user.save()),
            lambda user: User.objects.filter(pk=user.pk).update(is_active=False),
            lambda user: user.delete(),
            lambda user: User.objects.filter(pk=user.pk).update(username="renamed"),
        ],
        ids=["password", "disabled", "deleted", "renamed"],
    )
    def test_a_change_counts_at_the_next_request(self, user: User, change: Callable[[User], object]) -> None:
        assert get(basic("plugin")).status_code == 200
        change(user)
        assert get(basic("plugin")).status_code == 401

    @pytest.mark.mission("S34")
    def test_a_role_counts_at_the_next_request(self, user: User) -> None:
        def post() -> int:
            return Client().post("/api/jobs", JOB, "application/xml", headers=basic("plugin")).status_code

        assert post() == 201
        user.groups.clear()
        assert post() == 403
        user.is_superuser = True
        user.save()
        assert post() == 201

    def test_a_disabled_account_does_not_tell_that_its_password_is_right(
        self, user: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        user.is_active = False
        user.save()
        checks = counted(monkeypatch)
        told = [fault(get(basic("plugin", word))) for word in (PASSWORD, PASSWORD, "wrong")]
        assert len(set(told)) == 1
        assert len(checks) == 3

    def test_unknown_and_known_names_take_equally_long(self, user: User, settings: Any) -> None:
        """H10, within 10 % at the median; the two in turns, for the machine has more to do."""
        settings.PASSWORD_HASHERS = global_settings.PASSWORD_HASHERS
        user.set_password(PASSWORD)
        user.save()

        def seconds(name: str) -> float:
            forget_failed_logins()
            begun = time.process_time()
            assert get(basic(name, "wrong")).status_code == 401
            return time.process_time() - begun

        both = [(seconds("plugin"), seconds("nobody")) for _ in range(9)]
        known, unknown = (statistics.median(times) for times in zip(*both, strict=True))
        assert abs(known - unknown) < 0.1 * known


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What passwords are checked from now on."""
    checks: list[str] = []
    check = User.check_password
    monkeypatch.setattr(
        User, "check_password", lambda self, word: (checks.append(word), check(self, word))[1]
    )
    return checks


class TestThrottle:
    def fail(self, times: int, name: str = "plugin", **extra: Any) -> list[int]:
        return [get(basic(name, "wrong"), **extra).status_code for _ in range(times)]

    def test_many_failures_have_to_wait(self, user: User) -> None:
        assert self.fail(11) == [401] * 10 + [429]
        response = get(basic("plugin"))
        told = "Too many attempts to log in. Try again in 1 second."
        assert fault(response) == (429, "Too many attempts", told)
        assert response["Retry-After"] == "1"
        response = Client().post(
            TOKEN, {"grant_type": "password", "username": "plugin", "password": PASSWORD}
        )
        assert (response.status_code, response["Retry-After"]) == (429, "1")
        assert response.json() == {"error": told, "error_code": "access_denied"}

    def test_who_was_let_in_before_still_is(self, user: User) -> None:
        assert get(basic("plugin")).status_code == 200
        assert 429 in self.fail(25)
        assert get(basic("plugin")).status_code == 200

    @pytest.mark.parametrize("spelled", [*(f"plugin{one}" for one in PROFILES), "plugin\0", "plugin\0\0"])
    def test_another_spelling_gives_no_more_attempts_on_a_name(self, user: User, spelled: str) -> None:
        self.fail(10)
        tried = get(basic(spelled))
        assert tried.status_code == (429 if "@" in spelled else 401)

    def test_other_names_and_other_addresses_are_free(self, user: User) -> None:
        self.fail(10)
        assert self.fail(1, "nobody") == [401]
        assert get(basic("plugin"), REMOTE_ADDR="192.0.2.7").status_code == 200

    def test_an_address_has_a_limit_for_all_names_together(self, user: User) -> None:
        tried = [self.fail(1, f"name-{n}")[0] for n in range(41)]
        assert tried == [401] * 40 + [429]
        assert self.fail(1, "plugin", HTTP_X_FORWARDED_FOR="192.0.2.7") == [429]

    def test_a_name_has_a_limit_for_all_addresses_together(self, user: User) -> None:
        tried = [self.fail(1, REMOTE_ADDR=f"192.0.2.{n}")[0] for n in range(21)]
        assert tried == [401] * 20 + [429]

    def test_failures_are_logged_and_the_first_that_slows_down_is_audited(
        self, user: User, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.fail(25)
        entry = AuditEntry.objects.exclude(verb="login refused").get()
        assert (entry.verb, entry.subject, entry.actor_name) == ("slowed down", "plugin", "Task Monitor")
        assert "127.0.0.1" in entry.detail
        refused = [line for line in caplog.messages if line.startswith("Login refused")]
        assert refused == ["Login refused name='plugin' address=127.0.0.1"] * 10
        assert "wrong" not in caplog.text

    @pytest.mark.parametrize("path", ["/login/", "/admin/login/"])
    def test_pages_and_admin_are_throttled_with_the_api_and_say_so(self, user: User, path: str) -> None:
        user.is_staff = True
        user.save()
        client = Client()

        def told(name: str, password: str) -> tuple[int, str | None, list[str]]:
            response = client.post(path, {"username": name, "password": password})
            page = response.content.decode()
            alerts = re.findall(r'role="alert">(.*?)</p>', page)
            return response.status_code, response.get("Retry-After"), alerts

        neutral = (200, None, ["The name or the password is not right."])
        assert told("nobody", "wrong") == neutral
        assert [told("plugin", "wrong") for _ in range(10)] == [neutral] * 10
        wait = (429, "1", ["Too many attempts to log in. Try again in 1 second."])
        assert told("plugin", PASSWORD) == wait
        assert "_auth_user_id" not in client.session
        assert self.fail(1) == [429]

    def test_a_password_is_confirmed_within_the_same_limits(self, user: User) -> None:
        def confirm(password: str) -> None:
            login.confirm_password(user=user, password=password, address="192.0.2.7", now=NOW)

        confirm(PASSWORD)
        for password in ("wrong", "", PASSWORD + "\0"):
            with pytest.raises(LoginRefused):
                confirm(password)
        for _ in range(7):
            with pytest.raises(LoginRefused):
                confirm("wrong")
        with pytest.raises(TooManyAttempts):
            confirm("wrong")
        confirm(PASSWORD)  # it is remembered

    def test_what_is_remembered_is_bounded(self, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(login, "_MOST_KEPT", 10)
        monkeypatch.setattr(login, "_remembered", {})
        for n in range(50):
            user.set_password(f"{PASSWORD} {n}")
            user.save()
            now = NOW + timedelta(seconds=n)
            login.verified(name="plugin", password=f"{PASSWORD} {n}", address="", now=now)
        assert len(login._remembered) <= 10
        assert NOW + timedelta(seconds=49) in login._remembered.values()


class TestLogin:
    """oVirt's SDKs log in for a token, and out again."""

    def token(self, **fields: str) -> HttpResponse:
        form = {"grant_type": "password", "scope": "ovirt-app-api", "username": "plugin@internal", **fields}
        return Client().post(TOKEN, {"password": PASSWORD, **form}, headers={"Accept": JSON})

    def test_a_token_stands_for_name_and_password_until_logout(self, user: User) -> None:
        told = self.token().json()
        secret = told["access_token"]
        assert (told["token_type"], told["scope"]) == ("bearer", "ovirt-app-api")
        assert 11 * 3600 < int(told["exp"]) / 1000 - time.time() < 13 * 3600
        assert get(bearer(secret)).status_code == 200
        assert Client().post("/api/jobs", JOB, "application/xml", headers=bearer(secret)).status_code == 201
        for _ in range(2):
            out = Client().post(LOGOUT, {"scope": "ovirt-app-api", "token": secret})
            assert (out.status_code, out.json()) == (200, {})
        assert get(bearer(secret)).status_code == 401

    def test_only_a_hash_is_stored(self, user: User) -> None:
        secret = self.token().json()["access_token"]
        assert secret not in str(AccessToken.objects.values())

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"password": "wrong"}, "access_denied"),
            ({"username": "nobody"}, "access_denied"),
            ({"username": ""}, "access_denied"),
            ({"username": "plugin\0"}, "access_denied"),
            ({"username": "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")}, "access_denied"),
            ({"password": "x" * 500_000}, "access_denied"),
            ({"grant_type": ""}, "unsupported_grant_type"),
            ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
            ({"grant_type": "\0"}, "unsupported_grant_type"),
        ],
    )
    def test_a_refusal_is_json_with_an_error(self, user: User, fields: dict[str, str], code: str) -> None:
        response = self.token(**fields)
        assert response.status_code == 400
        assert response["Content-Type"] == JSON
        assert response.json()["error_code"] == code
        assert response.json()["error"]
        assert not AccessToken.objects.exists()

    @pytest.mark.parametrize("path", [TOKEN, LOGOUT, TOKEN + "-http-auth"])
    @pytest.mark.parametrize(
        ("kind", "text"),
        [
            ("", b""),
            ("application/json", b'{"username": "plugin"}'),
            ("application/x-www-form-urlencoded", b"\xff=\xfe&%ff=%00&&&==;"),
            ("application/x-www-form-urlencoded; charset=utf-16", b"username=plugin"),
            ("application/x-www-form-urlencoded; charset=hex", b"username=plugin"),
            ("application/x-www-form-urlencoded", b"&".join(b"a%d=" % n for n in range(2000))),
            ("multipart/form-data", b"x"),
            ("multipart/form-data; boundary=", b"x"),
            ("multipart/form-data; boundary=" + "x" * 300, b"x"),
            ("multipart/form-data; boundary=\xff", b"x"),
            (
                "multipart/form-data; boundary=b",
                b"--b\r\nContent-Disposition: form-data; name=username\r\n\r\nx",
            ),
            (
                "multipart/form-data; boundary=b; charset=hex",
                b"--b\r\nContent-Disposition: form-data; name=username\r\n\r\nx\r\n--b--\r\n",
            ),
            (
                "multipart/form-data; boundary=b",
                b"--b\r\nContent-Disposition: form-data; name=f; filename=f\r\n"
                b"Content-Transfer-Encoding: base64\r\n\r\n!!!\r\n--b--\r\n",
            ),
            ("multipart/form-data; boundary=b", b"--b\r\n" * 3000),
        ],
        ids=range(14),
    )
    def test_any_form_gets_json(self, user: User, path: str, kind: str, text: bytes) -> None:
        response = Client().generic("POST", path, text, kind)
        assert response.status_code in (200, 400)
        assert response["Content-Type"] == JSON
        assert response.status_code == 200 or set(response.json()) == {"error", "error_code"}

    @pytest.mark.parametrize(
        ("path", "allowed"), [(TOKEN, "GET, POST"), (TOKEN + "-http-auth", "GET, POST"), (LOGOUT, "POST")]
    )
    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "FOO"])
    def test_any_other_method_is_405_in_json(self, db: None, path: str, allowed: str, method: str) -> None:
        response = Client().generic(method, path)
        assert response["Content-Type"] == JSON
        if method in allowed:
            assert (response.status_code, response.json()["error_code"]) == (400, "invalid_request")
        else:
            assert (response.status_code, response["Allow"]) == (405, allowed)

    @pytest.mark.parametrize("path", [TOKEN, TOKEN + "-http-auth"])
    @pytest.mark.parametrize("method", ["GET", "POST", "POST form"])
    def test_a_basic_header_gets_a_token_too(self, user: User, path: str, method: str) -> None:
        """As oVirt's VM portal asks for one."""
        asked, form = f"{path}?{urlencode(HTTP_GRANT)}", {}
        if method == "POST form":
            asked, form = path, HTTP_GRANT
        send = Client().get if method == "GET" else Client().post
        response = send(asked, form or None, headers=basic("plugin@internal"))
        told = response.json()
        assert (response.status_code, told["scope"], told["token_type"]) == (200, "ovirt-app-api", "bearer")
        assert response["Cache-Control"] == "no-store"
        assert get(bearer(told["access_token"])).status_code == 200
        Client().post(LOGOUT, {"token": told["access_token"]})
        assert get(bearer(told["access_token"])).status_code == 401

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Authorization": "Negotiate YQ=="},
            {"Authorization": "Bearer x"},
            {"Authorization": "Basic !!!"},
            basic("plugin", "wrong"),
            basic("nobody"),
            basic(b"\xff", b"\xfe"),
        ],
        ids=range(7),
    )
    @pytest.mark.parametrize("path", [TOKEN, TOKEN + "-http-auth"])
    def test_no_header_or_a_wrong_one_is_challenged(
        self, user: User, path: str, headers: dict[str, str]
    ) -> None:
        response = Client().get(path, HTTP_GRANT, headers=headers)
        assert (response.status_code, response["WWW-Authenticate"]) == (401, CHALLENGE)
        assert response.json()["error_code"] == "access_denied"
        assert not AccessToken.objects.exists()

    def test_guesses_by_header_are_counted_with_the_others(self, user: User) -> None:
        tried = [
            Client().get(TOKEN, HTTP_GRANT, headers=basic("plugin", "wrong")).status_code for _ in range(11)
        ]
        assert tried == [401] * 10 + [429]
        assert get(basic("plugin")).status_code == 429

    @pytest.mark.parametrize("path", [TOKEN, TOKEN + "-http-auth"])
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_a_password_in_an_address_is_refused_with_the_reason(
        self, user: User, path: str, method: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        for grant in ("password", HTTP_GRANT["grant_type"]):
            login = urlencode({"grant_type": grant, "username": "plugin", "password": PASSWORD})
            response = Client().generic(method, f"{path}?{login}", headers=basic("plugin"))
            told = response.json()
            assert (response.status_code, told["error_code"]) == (400, "invalid_request")
            assert told["error"] == "A password in an address ends up in logs; send it in the form of a POST."
        assert not AccessToken.objects.exists()
        assert PASSWORD not in caplog.text

    def test_logging_out_leaves_named_tokens_alone(self, user: User) -> None:
        caller = Caller(user)
        secret = caller.client.defaults["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
        assert Client().post(LOGOUT, {"token": secret}).json() == {}
        assert caller.get("users").status_code == 200

    @pytest.mark.parametrize(
        "form", [{}, {"token": ""}, {"token": "gone"}, {"token": "\0"}, {"token": "é😀"}]
    )
    def test_logging_out_of_nothing_is_no_error(self, db: None, form: dict[str, str]) -> None:
        response = Client().post(LOGOUT, form)
        assert (response.status_code, response.json()) == (200, {})


class TestTokens:
    def make(self, user: User, **fields: Any) -> str:
        given = {
            "name": "night",
            "scope": ["read", "inject"],
            "expires": None,
            "now": timezone.now(),
            **fields,
        }
        return add_token(user_id=user.pk, actor=make_actor(user), **given)[1]

    def test_a_token_works_until_it_is_revoked(self, owner: User) -> None:
        secret = self.make(owner)
        assert get(bearer(secret)).status_code == 200
        assert get({"Authorization": f"bearer  {secret} "}).status_code == 200
        token = AccessToken.objects.get()
        revoke_token(token_id=token.pk, actor=make_actor(owner), now=timezone.now())
        assert fault(get(bearer(secret)))[2] == "The token is unknown, revoked or expired."
        assert [entry.verb for entry in AuditEntry.objects.order_by("pk")] == ["made token", "revoked token"]

    def test_no_credential_is_taken_from_an_address(self, owner: User) -> None:
        secret = self.make(owner)
        client = Client()
        for name in ("access_token", "token", "authorization", "Authorization", "sessionid"):
            assert client.get("/api/jobs", {name: secret}).status_code == 401
            assert client.get(f"/api/jobs;{name}={secret}").status_code == 401
        login = f"grant_type=password&username={owner.username}&password={PASSWORD}"
        assert client.post(f"/ovirt-engine/sso/oauth/token?{login}").status_code == 400
        assert client.post(f"/ovirt-engine/services/sso-logout?token={secret}").status_code == 200
        assert get(bearer(secret)).status_code == 200

    def test_a_token_works_until_it_expires(self, owner: User) -> None:
        secret = self.make(owner, expires=timezone.now() + timedelta(hours=1))
        assert get(bearer(secret)).status_code == 200
        AccessToken.objects.update(expires=timezone.now())
        assert get(bearer(secret)).status_code == 401

    def test_a_token_of_a_disabled_user_does_not_work(self, owner: User) -> None:
        secret = self.make(owner)
        User.objects.update(is_active=False)
        assert get(bearer(secret)).status_code == 401

    def test_the_last_use_is_kept_to_the_minute(self, owner: User) -> None:
        secret = self.make(owner)
        get(bearer(secret), REMOTE_ADDR="2001:db8::7")
        token = AccessToken.objects.get()
        assert token.last_used is not None
        assert timezone.now() - token.last_used < timedelta(minutes=1)
        assert token.last_used_from == "2001:db8::7"
        get(bearer(secret), REMOTE_ADDR="192.0.2.7")
        assert AccessToken.objects.get().last_used == token.last_used
        AccessToken.objects.update(last_used=timezone.now() - timedelta(minutes=2))
        get(bearer(secret), REMOTE_ADDR="192.0.2.7")
        assert AccessToken.objects.get().last_used_from == "192.0.2.7"

    @pytest.mark.parametrize(
        "address", ["", "unknown", "a:b", "192.0.2.7:80", "x" * 500, "\0", "1.2.3.4, 5.6.7.8"]
    )
    def test_what_a_proxy_says_in_place_of_an_address_does_no_harm(self, owner: User, address: str) -> None:
        secret = self.make(owner)
        assert get(bearer(secret), REMOTE_ADDR=address).status_code == 200
        assert AccessToken.objects.get().last_used_from is None

    @pytest.mark.parametrize(
        ("scope", "rights"),
        [
            (("read",), set()),
            (("inject",), {"inject"}),
            (("control",), {"control"}),
            (("read", "control"), {"control"}),
            (("read", "inject", "control"), {"inject", "control"}),
        ],
    )
    def test_a_scope_only_ever_takes_away(
        self, calling: Callable[..., Caller], owner: User, scope: tuple[str, ...], rights: set[str]
    ) -> None:
        theirs = make_job()
        boss = calling("boss", Role.INJECTOR, Role.OPERATOR, scope=scope)
        assert boss.get(f"jobs/{theirs.pk}").status_code == (200 if "read" in scope else 403)
        assert (boss.post("jobs", "job", {"description": "d"}).status_code == 201) == ("inject" in rights)
        assert (boss.post(f"jobs/{theirs.pk}/clear").status_code == 200) == ("control" in rights)
        nobody = calling("nobody", scope=scope)
        assert nobody.get(f"jobs/{theirs.pk}").status_code == (404 if "read" in scope else 403)
        assert nobody.post("jobs", "job", {"description": "d"}).status_code == 403

    @pytest.mark.parametrize("format_", ["application/xml", JSON])
    def test_what_the_scope_lacks_is_named(self, calling: Callable[..., Caller], format_: str) -> None:
        job = make_job(make_actor(make_user("boss")))
        for scope, method, path, words in (
            ("inject", "GET", "jobs", "read"),
            ("control", "GET", f"jobs/{job.pk}", "read"),
            ("inject", "HEAD", "jobs", ""),
            ("inject", "GET", f"jobs/{uuid4()}", "read"),
            ("read", "POST", "jobs", "inject"),
            ("read", "POST", f"jobs/{job.pk}/clear", "inject or control"),
            ("inject", "POST", f"commands/{uuid4()}/poll", "control"),
        ):
            boss = calling("boss", Role.INJECTOR, Role.OPERATOR, scope=(scope,), format=format_)
            answer = boss.send(method, path)
            assert answer.status_code == 403
            if words:
                assert fault(answer)[2] == f"[The scope of the token lacks {words}.]"

    def test_who_may_only_inject_sees_the_answers_to_what_it_posts(
        self, calling: Callable[..., Caller]
    ) -> None:
        plugin = calling("reporter", Role.INJECTOR, scope=("inject",), format=JSON)
        job = plugin.post("jobs", "job", {"description": "Clone"}).json()
        step = plugin.post(
            f"jobs/{job['id']}/steps", "step", {"description": "Copy", "type": "EXECUTING"}
        ).json()
        assert step["parent_job"]["id"] == job["id"]
        place = f"jobs/{job['id']}/steps/{step['id']}"
        assert (
            plugin.post(f"{place}/progress", "progress", {"current": "1"}).json()["step"]["id"] == step["id"]
        )
        assert plugin.post(f"{place}/end", "action").json()["step"]["status"] == "FINISHED"
        assert plugin.post(f"jobs/{job['id']}/end", "action").json()["job"]["status"] == "FINISHED"
        for path in ("jobs", f"jobs/{job['id']}", place, "", "capabilities", "users"):
            assert plugin.get(path).status_code == 403
        assert plugin.get("openapi.json").status_code == 200


class TestSessions:
    """A browser's cookie alone moves nothing (H9)."""

    @pytest.fixture
    def browser(self, owner: User) -> Client:
        client = Client(enforce_csrf_checks=True)
        client.force_login(owner)
        return client

    @pytest.mark.parametrize("format_", ["application/xml", JSON])
    def test_a_cookie_reads_but_does_not_write(self, browser: Client, format_: str) -> None:
        job = make_job()
        assert browser.get("/api/jobs", headers={"Accept": format_}).status_code == 200
        for path in ("jobs", f"jobs/{job.pk}/end", f"jobs/{job.pk}/steps", f"jobs/{job.pk}/batch"):
            response = browser.post(f"/api/{path}", JOB, "application/xml", headers={"Accept": format_})
            status, reason, words = fault(response)
            assert (status, reason) == (403, "Operation Failed")
            assert "CSRF" in words
        job.refresh_from_db()
        assert (Job.objects.count(), job.status) == (1, "STARTED")

    @pytest.mark.parametrize(
        "kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"]
    )
    def test_no_form_of_another_site_gets_through(self, browser: Client, kind: str) -> None:
        """What a page elsewhere can send without asking first."""
        response = browser.post("/api/jobs", "csrfmiddlewaretoken=x&description=y", kind)
        assert fault(response)[0] in (403, 415)
        assert not Job.objects.exists()

    def test_with_its_token_a_page_of_ours_writes(self, browser: Client) -> None:
        secret = browser.get("/jobs/").cookies["csrftoken"].value
        response = browser.post("/api/jobs", JOB, "application/xml", headers={"X-CSRFToken": secret})
        assert response.status_code == 201
        foreign = browser.post("/api/jobs", JOB, "application/xml", headers={"X-CSRFToken": "x" * 64})
        assert fault(foreign)[0] == 403

    def test_a_foreign_origin_does_not_write_even_with_the_token(self, browser: Client) -> None:
        secret = browser.get("/jobs/").cookies["csrftoken"].value
        headers = {"X-CSRFToken": secret, "Origin": "https://evil.example"}
        assert fault(browser.post("/api/jobs", JOB, "application/xml", headers=headers))[0] == 403

    def test_credentials_need_no_csrf_token_even_beside_a_cookie(self, browser: Client, user: User) -> None:
        browser.force_login(user)
        for headers in (basic("plugin"), bearer(TestTokens().make(user))):
            response = browser.post("/api/jobs", JOB, "application/xml", headers=headers)
            assert response.status_code == 201

    def test_wrong_credentials_are_not_saved_by_a_cookie(self, browser: Client) -> None:
        assert browser.get("/api/jobs", headers=basic("plugin", "wrong")).status_code == 401
        assert browser.get("/api/jobs", headers=bearer("wrong")).status_code == 401

    def test_a_session_ends_with_its_user(self, browser: Client) -> None:
        User.objects.update(is_active=False)
        assert browser.get("/api/jobs").status_code == 401

    def test_no_answer_of_the_api_sets_a_cookie_or_may_be_kept(self, plugin: Caller) -> None:
        for response in (
            plugin.get("jobs"),
            plugin.get("nothing"),
            plugin.post("jobs", "job", {"description": "d"}),
        ):
            assert not response.cookies
            assert response["Cache-Control"] == "no-store"

    @pytest.mark.parametrize(
        "cookie",
        [
            'sessionid="abcdefgh\\000ijkl"',
            "sessionid=" + "x" * 5000,
            "sessionid=\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8",
            "sessionid=",
            "=;;=;",
            'csrftoken="\\000"',
            "sessionid=' OR 1=1 --",
        ],
    )
    @pytest.mark.parametrize("path", ["/api/jobs", "/jobs/", "/admin/"])
    def test_a_forged_cookie_is_nobody(self, db: None, cookie: str, path: str) -> None:
        """A quoted NUL in a cookie reached PostgreSQL, which refuses it, as a crash."""
        response = Client().get(path, headers={"Cookie": cookie})
        assert response.status_code in (302, 401)


def test_disabled_users_do_not_log_in(db: None) -> None:
    make_user("gone", is_active=False).set_password(PASSWORD)
    assert (
        json.loads(
            Client().post(TOKEN, {"grant_type": "password", "username": "gone", "password": PASSWORD}).content
        )["error_code"]
        == "access_denied"
    )
