"""Logging in and out as the SDK does, with nothing but URL, name and password."""

import pytest

from tests.clients.conftest import Connect
from tests.clients.sdk4 import sdk, types
from tests.live import Site

EXPIRE = """
from datetime import timedelta
from django.utils import timezone
from taskmonitor.models import AccessToken
AccessToken.objects.filter(user__username="plugin").update(expires=timezone.now() - timedelta(seconds=1))
"""


@pytest.mark.parametrize("name", ["plugin", "plugin@internal"])
def test_a_user_logs_in_with_and_without_profile(connect: Connect, name: str) -> None:
    connection = connect(username=name)
    assert connection.test(raise_exception=True)
    me = connection.system_service().get().authenticated_user
    assert connection.follow_link(me).user_name == "plugin@internal"


@pytest.mark.parametrize(
    ("username", "password"), [("plugin@internal", "wrong"), ("nobody@internal", "x"), ("", ""), ("é", "ü")]
)
def test_a_wrong_password_is_an_authentication_error(connect: Connect, username: str, password: str) -> None:
    connection = connect(username=username, password=password)
    with pytest.raises(sdk.AuthError, match="access_denied : Cannot authenticate user"):
        connection.system_service().jobs_service().list()
    assert connection.test() is False


def test_ten_wrong_passwords_do_not_lock_anybody_out(connect: Connect) -> None:
    for _ in range(10):
        assert connect(username="rival@internal", password="typo").test() is False
    assert connect(username="rival@internal").test(raise_exception=True)


def test_an_expired_token_is_renewed_unseen(site: Site, connect: Connect) -> None:
    connection = connect()
    jobs = connection.system_service().jobs_service()
    before = connection.authenticate()
    site.manage("shell", "-c", EXPIRE)
    job = jobs.add(types.Job(description="after the token's end"))
    assert connection.authenticate() != before
    assert jobs.job_service(job.id).get().description == "after the token's end"


@pytest.mark.parametrize("token", ["tm_unknown", ""])
def test_an_unknown_token_is_replaced_by_one_for_the_password(connect: Connect, token: str) -> None:
    assert connect(token=token).test(raise_exception=True)


def test_a_closed_connection_leaves_no_valid_token(connect: Connect) -> None:
    connection = connect()
    token = connection.authenticate()
    assert connect(username="", password="", token=token).test(raise_exception=True)
    connection.close()
    with pytest.raises(sdk.AuthError, match="access_denied"):
        connect(username="", password="", token=token).test(raise_exception=True)


def test_a_token_can_outlive_its_connection(connect: Connect) -> None:
    connection = connect()
    token = connection.authenticate()
    connection.close(logout=False)
    heir = connect(username="", password="", token=token)
    assert heir.test(raise_exception=True)


def test_kerberos_is_refused_in_a_way_that_the_sdk_can_read(connect: Connect) -> None:
    with pytest.raises(sdk.AuthError, match=r"access_denied : .*no login by Kerberos"):
        connect(kerberos=True).test(raise_exception=True)
