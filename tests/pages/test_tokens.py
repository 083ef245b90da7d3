import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from taskmonitor.models import AccessToken, AuditEntry
from taskmonitor.services import access
from tests.factories import NOW, make_actor, make_user
from tests.pages.conftest import Site

pytestmark = pytest.mark.django_db


def make(client: Client, **fields: object) -> str:
    answer = client.post("/tokens/", {"name": "nightly", "scope": ["read", "inject"], "life": "90", **fields})
    return answer.content.decode()


def test_a_secret_is_shown_once_and_kept_nowhere(site: Site, owner: Client) -> None:
    page = make(owner)
    found = re.search(r'id="secret">(tm_[\w-]+)<', page)
    assert found is not None
    token = AccessToken.objects.get()
    assert token.digest == access.digest(found[1])
    assert (token.user, token.name, token.scope) == (site.owner, "nightly", "read inject")
    assert token.expires is not None
    assert timedelta(days=89) < token.expires - timezone.now() < timedelta(days=91)
    assert (
        f'curl --fail-with-body http://testserver/api/jobs -H "Authorization: Bearer {found[1]}"'
        in page.replace("&quot;", '"')
    )
    again = owner.get("/tokens/").content.decode()
    assert found[1] not in again
    assert "nightly" in again
    assert found[1] not in str(list(AccessToken.objects.values())) + str(list(AuditEntry.objects.values()))


def test_a_secret_opens_the_api_until_it_is_revoked(site: Site, owner: Client) -> None:
    found = re.search(r'id="secret">(tm_[\w-]+)<', make(owner))
    assert found is not None
    program = Client(headers={"Authorization": f"Bearer {found[1]}", "Accept": "application/json"})
    assert program.get(f"/api/jobs/{site.job.pk}").status_code == 200
    assert "127.0.0.1" in owner.get("/tokens/").content.decode()
    token = AccessToken.objects.get()
    assert owner.post(f"/tokens/{token.pk}/revoke/").headers["Location"] == "/tokens/"
    assert program.get(f"/api/jobs/{site.job.pk}").status_code == 401


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"name": " "}, "The name cannot be empty."),
        ({"name": "x" * 101}, "The name has 101 characters"),
        ({"name": "a\x00b"}, "The name has the character U+0000"),
        ({"scope": []}, "Choose among read, inject, control"),
        ({"scope": ["everything"]}, "Choose among"),
        ({"life": "100000"}, "Choose one of the list"),
        ({"name": "taken"}, "You have a token of this name already"),
    ],
)
def test_a_wrong_form_says_why_and_is_kept(fields: dict[str, object], problem: str, owner: Client) -> None:
    make(owner, name="taken")
    page = make(owner, **fields)
    assert problem in page
    assert 'id="secret"' not in page
    assert AccessToken.objects.count() == 1
    if "scope" in fields:
        assert 'value="nightly"' in page


def test_everybody_has_only_their_own(site: Site, owner: Client, stranger: Client) -> None:
    make(owner, name="of the owner")
    other = make_user("third")
    access.add_token(
        user_id=other.pk, name="of a third", scope=["read"], expires=None, actor=make_actor(other), now=NOW
    )
    token = AccessToken.objects.get(name="of the owner")
    assert "of the owner" not in stranger.get("/tokens/").content.decode()
    assert stranger.post(f"/tokens/{token.pk}/revoke/").status_code == 404
    assert AccessToken.objects.count() == 2


def test_what_a_revocation_does_is_said_before(site: Site, owner: Client, stranger: Client) -> None:
    make(owner, name="nightly")
    token = AccessToken.objects.get()
    address = f"/tokens/{token.pk}/revoke/"
    page = owner.get(address).content.decode()
    assert "Revoke the token nightly?" in page
    assert "refused from now on" in page
    assert "It has never been used." in page
    assert '<button class="button danger">Revoke</button>' in page
    AccessToken.objects.update(last_used=NOW, last_used_from="192.0.2.7")
    page = owner.get(address).content.decode()
    assert "It was last used 2026-11-21 12:00:00 UTC from 192.0.2.7." in page
    assert stranger.get(address).status_code == 404
    assert AccessToken.objects.exists()
    owner.post(address)
    gone = owner.post(address)
    assert gone.status_code == 404
    assert "This token does not exist any more" in gone.content.decode()
    assert '<a href="/tokens/">To your tokens</a>' in gone.content.decode()


def test_logins_of_clients_are_not_listed(site: Site, owner: Client) -> None:
    access.add_login_token(user_id=site.owner.pk, life_ends=NOW, now=NOW)
    assert "You have none." in owner.get("/tokens/").content.decode()


def test_the_log_has_what_the_audit_has(owner: Client, caplog: pytest.LogCaptureFixture) -> None:
    make(owner, name="nightly\u2028forged")
    entry = AuditEntry.objects.get(verb="made token")
    [line] = [record.getMessage() for record in caplog.records if record.name.endswith("services.access")]
    assert (
        line
        == f"Audit actor={entry.actor_name!r} verb='made token' subject={entry.subject!r} detail={entry.detail!r}"
    )
