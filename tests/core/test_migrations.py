"""What an upgrade does to what is there already."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.models import Session as OldSession
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from taskmonitor.models import ROLE_RIGHTS, Job, Right, Step
from tests.factories import NOW

Apps = Any


@pytest.fixture
def migrate(transactional_db: None) -> Iterator[Callable[[str], Apps]]:
    """Migrates to the named migration and answers the models of that time; afterwards all is as before."""

    def to(name: str) -> Apps:
        target = [("taskmonitor", name)]
        executor = MigrationExecutor(connection)
        executor.migrate(target)
        return MigrationExecutor(connection).loader.project_state(target).apps

    yield to
    call_command("migrate", verbosity=0)


@pytest.mark.mission("S76")
def test_rows_from_before_the_upgrade_become_the_servers_own(migrate: Callable[[str], Apps]) -> None:
    old = migrate("0001_initial")
    old_job = old.get_model("taskmonitor", "Job").objects.create(
        id=uuid4(), description="rebuild", start_time=NOW, last_updated=NOW, last_sign=NOW
    )
    old.get_model("taskmonitor", "Step").objects.create(
        id=uuid4(),
        job=old_job,
        number=0,
        type="EXECUTING",
        description="build",
        start_time=NOW,
        last_updated=NOW,
    )
    call_command("migrate", "taskmonitor", verbosity=0)
    job, step = Job.objects.get(), Step.objects.get()
    assert (job.external, step.external) == (False, False)
    assert (job.pk, job.description, step.job, step.description) == (old_job.pk, "rebuild", job, "build")


@pytest.mark.mission("S31", "S32", "S33", "S77")
def test_the_upgrade_gives_the_rights_to_admin_roles_and_to_no_other(migrate: Callable[[str], Apps]) -> None:
    migrate("0001_initial")
    Group.objects.all().delete()
    Permission.objects.filter(content_type__app_label="taskmonitor").delete()
    admins, clerks = Group.objects.create(name="Site admins"), Group.objects.create(name="Clerks")
    admins.permissions.add(Permission.objects.get(codename="change_user"))
    clerks.permissions.add(Permission.objects.get(codename="view_user"))
    migrate("0003_roles")
    rights = {
        group.name: set(
            group.permissions.filter(content_type__app_label="taskmonitor").values_list("codename", flat=True)
        )
        for group in Group.objects.all()
    }
    assert rights == {
        "Site admins": set(Right),
        "Clerks": set(),
        **{role: set(rights) for role, rights in ROLE_RIGHTS.items()},
    }
    assert [name for name, held in rights.items() if Right.INJECT in held and name != "Site admins"] == [
        "External tasks creator"
    ]


def test_the_upgrade_ends_sessions_of_which_nobody_knows_whose_they_are(
    migrate: Callable[[str], Apps],
) -> None:
    migrate("0008_site")
    OldSession.objects.create(session_key="x" * 32, session_data="", expire_date=NOW)
    migrate("0009_accounts")
    assert not OldSession.objects.exists()


def test_the_upgrade_finds_what_made_older_jobs_fail(migrate: Callable[[str], Apps]) -> None:
    old = migrate("0009_accounts")

    def add(model: str, **fields: Any) -> Any:
        known = {
            "id": uuid4(),
            "start_time": NOW,
            "last_updated": NOW,
            "description": model,
            "external": True,
        }
        return old.get_model("taskmonitor", model).objects.create(**known | fields)

    def step(job: Any, status: str = "FAILED", minute: int = 1, under: Any = None, **fields: Any) -> Any:
        place = {
            "number": job.steps.filter(parent_step=under).count(),
            "depth": under.depth + 1 if under else 0,
        }
        end = None if status == "STARTED" else NOW + timedelta(minutes=minute)
        return add(
            "Step",
            job=job,
            parent_step=under,
            type="EXECUTING",
            status=status,
            end_time=end,
            **place | fields,
        )

    late, running, closed, fine = (
        add("Job", last_sign=NOW, status=status, end_time=end)
        for status, end in (
            ("FAILED", NOW + timedelta(minutes=9)),
            ("STARTED", None),
            ("FAILED", NOW + timedelta(minutes=9)),
            ("FINISHED", NOW),
        )
    )
    top = step(late, minute=3)
    middle = step(late, "FINISHED", under=top)
    deep = step(late, minute=2, under=middle, reason="no space")
    with_the_job = step(late, minute=9, reason="the last drop")
    step(late, minute=9)
    step(late, "ABORTED")
    alone = step(running)
    step(running, "STARTED")
    step(closed, minute=9)
    step(fine, "FINISHED")
    call_command("migrate", "taskmonitor", verbosity=0)
    causes = {
        job.pk: [found.pk for found in job.steps.filter(cause__isnull=False).order_by("cause")]
        for job in Job.objects.all()
    }
    assert causes == {
        late.pk: [deep.pk, with_the_job.pk],
        running.pk: [alone.pk],
        closed.pk: [],
        fine.pk: [],
    }
    assert {job.pk: (job.causes, job.first_cause_id) for job in Job.objects.all()} == {
        job: (len(found), found[0] if found else None) for job, found in causes.items()
    }


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
