"""Each page's answer names its request, and one that says that something went wrong shows it."""

import pytest
from django.test import Client

from taskmonitor.models import Role
from taskmonitor.pages import job_list
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def test_a_page_that_cannot_be_made_says_under_which_id_the_log_has_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise RuntimeError("secret of the server")

    monkeypatch.setattr(job_list, "render", crash)
    client = Client(raise_request_exception=False)
    client.force_login(make_user("viewer", Role.VIEWER))
    answer = client.get("/jobs/")
    assert answer.status_code == 500
    request_id = answer["X-Request-Id"]
    assert f"<code>{request_id}</code>" in answer.content.decode()
    assert "secret" not in answer.content.decode()
    [record] = [one for one in caplog.records if one.exc_info]
    assert record.request.facts["request_id"] == request_id  # type: ignore[attr-defined]


def test_ids_are_never_the_same() -> None:
    assert Client().get("/login/")["X-Request-Id"] != Client().get("/login/")["X-Request-Id"]
