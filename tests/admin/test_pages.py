"""What the admin shows, and that it changes nothing of it."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin as django_admin
from django.test import Client
from django.urls import reverse

from taskmonitor.models import SYSTEM, AccessToken, AuditEntry, Event, Job, Right, Step
from taskmonitor.services import access, jobs
from tests.factories import NOW, make_actor, make_job, make_step, make_user


def changelist(model: type) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def text(client: Client, address: str, **query: str) -> str:
    response = client.get(address, query)
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize("model", list(django_admin.site._registry), ids=lambda model: model.__name__)
def test_every_list_opens(admin: Client, model: type) -> None:
    make_step(make_job())
    text(admin, changelist(model))


@pytest.mark.parametrize("model", [Job, Step, Event, AuditEntry, AccessToken])
def test_what_services_keep_is_read_only(admin: Client, model: type) -> None:
    job = make_job()
    make_step(job)
    access.add_token(
        user_id=job.owner_id or 0, name="ci", scope=["read"], expires=None, actor=make_actor(), now=NOW
    )
    row = model._default_manager.first()
    name = f"admin:taskmonitor_{model._meta.model_name}"
    page = reverse(f"{name}_change", args=[row.pk])
    assert "_save" not in text(admin, page)
    assert admin.post(page, {"description": "forged", "detail": "forged"}).status_code == 403
    assert admin.post(reverse(f"{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    assert admin.post(reverse(f"{name}_add"), {}).status_code == 403
    assert "delete_selected" not in text(admin, changelist(model))


@pytest.mark.mission("S74")
def test_jobs_and_steps_lead_to_the_monitor(admin: Client) -> None:
    step = make_step(make_job(description="Nightly clone"))
    page = text(admin, changelist(Job))
    assert f'href="/jobs/{step.job_id}/"' in page
    assert "Nightly clone" in page
    for address in (
        changelist(Step),
        changelist(Event),
        reverse("admin:taskmonitor_job_change", args=[step.job_id]),
    ):
        assert f"/jobs/{step.job_id}/" in text(admin, address)


@pytest.mark.mission("S9")
def test_jobs_are_filtered_by_external(admin: Client) -> None:
    make_job(description="by a plug-in")
    inner = make_job(description="by the server")
    Job.objects.filter(pk=inner.pk).update(external=False)
    page = text(admin, changelist(Job), external__exact="0")
    assert "by the server" in page
    assert "by a plug-in" not in page


def test_lists_count_no_further_than_anybody_leafs(admin: Client, django_assert_max_num_queries: Any) -> None:
    for _ in range(3):
        make_job()
    with django_assert_max_num_queries(8) as queries:
        text(admin, changelist(Job))
    counts = [query["sql"] for query in queries if "COUNT(" in query["sql"]]
    assert counts
    assert all("LIMIT 10000" in sql for sql in counts)


def test_a_token_is_listed_without_its_secret_and_revoked(admin: Client) -> None:
    user = make_user()
    token, secret = access.add_token(
        user_id=user.pk, name="ci", scope=["read"], expires=None, actor=make_actor(user), now=NOW
    )
    access.add_token(
        user_id=user.pk, name="cd", scope=["read"], expires=None, actor=make_actor(user), now=NOW
    )
    shown = text(admin, changelist(AccessToken)) + text(
        admin, reverse("admin:taskmonitor_accesstoken_change", args=[token.pk])
    )
    assert "ci" in shown
    assert secret not in shown
    assert token.digest not in shown
    given = {"action": "revoke", "_selected_action": [token.pk]}
    assert "<li><bdi>ci</bdi></li>" in admin.post(changelist(AccessToken), given).content.decode()
    assert AccessToken.objects.count() == 2
    admin.post(changelist(AccessToken), given | {"confirmed": "yes"})
    assert AccessToken.objects.get().name == "cd"
    entry = AuditEntry.objects.latest("pk")
    assert (entry.actor_name, entry.verb, entry.subject, entry.detail) == (
        "root",
        "revoked token",
        "plugin",
        "ci",
    )


def test_the_audit_is_searched_by_actor_subject_verb_and_period(admin: Client) -> None:
    for days, (verb, subject) in enumerate([("granted", "anna"), ("revoked", "anna"), ("granted", "bert")]):
        access.audit(
            verb=verb,
            subject=subject,
            detail="External tasks creator",
            actor=SYSTEM,
            now=NOW - timedelta(days=days * 40),
        )

    def found(**query: str) -> list[tuple[str, str]]:
        queryset = admin.get(changelist(AuditEntry), query).context["cl"].queryset
        return list(queryset.values_list("verb", "subject"))

    assert found() == [("granted", "anna"), ("revoked", "anna"), ("granted", "bert")]
    assert found(q="bert") == [("granted", "bert")]
    assert found(q="Task Monitor granted") == [("granted", "anna"), ("granted", "bert")]
    assert found(verb="revoked") == [("revoked", "anna")]
    assert found(time__year="2026", time__month="9") == [("granted", "bert")]


def test_the_retention_page_says_what_would_be_done_and_does_nothing(admin: Client) -> None:
    lost = make_job(heartbeat_limit=60)
    Job.objects.filter(pk=lost.pk).update(stale_at=NOW - timedelta(days=3650))
    page = text(admin, reverse("admin:taskmonitor_retention"))
    assert "Would be called UNKNOWN now: 1" in page
    assert str(lost.pk) in page
    assert "90 days" in page
    assert Job.objects.get().status == "STARTED"
    assert reverse("admin:taskmonitor_retention") in text(admin, changelist(Job))


def test_the_retention_page_is_for_superusers(clerk: Any) -> None:
    client = clerk("view_job")
    assert client.get(reverse("admin:taskmonitor_retention")).status_code == 403
    assert "retention" not in text(client, changelist(Job))


def test_the_pages_name_the_product(admin: Client) -> None:
    assert "Task Monitor" in text(admin, reverse("admin:index"))


def test_a_cleared_job_is_found_by_its_id(admin: Client) -> None:
    job = make_job(description="gone from the lists")
    jobs.end_job(job_id=job.pk, status="FINISHED", actor=make_actor(), now=NOW)
    jobs.clear_job(job_id=job.pk, actor=make_actor(job.owner, Right.INJECT), now=NOW)
    assert "gone from the lists" not in text(admin, changelist(Job))
    assert "gone from the lists" in text(admin, reverse("admin:taskmonitor_job_change", args=[job.pk]))
