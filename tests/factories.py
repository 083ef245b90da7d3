"""Objects with dull valid defaults, so that a test shows only what matters to it."""

from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache

from taskmonitor.models import ROLE_RIGHTS, Actor, Job, Right, Role, Step
from taskmonitor.services import jobs, steps

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PASSWORD = "correct horse battery"


def make_user(username: str = "plugin", *roles: Role, **fields: Any) -> User:
    user = User.objects.create(username=username, **fields)
    user.groups.set([make_role(role) for role in roles])
    return user


def make_role(role: Role) -> Group:
    """The group that the migration made, or one like it if a test before has flushed the database."""
    group, made = Group.objects.get_or_create(name=role)
    if made:
        group.permissions.set(Permission.objects.filter(codename__in=ROLE_RIGHTS[role]))
    return group


def make_actor(user: User | None = None, *rights: Right) -> Actor:
    """The user as one who may inject, or who has just these rights."""
    user = user or User.objects.filter(username="plugin").first() or make_user()
    return Actor(user_id=user.pk, name=user.username, rights=frozenset(rights or (Right.INJECT,)))


def make_job(actor: Actor | None = None, **fields: Any) -> Job:
    return jobs.add_job(
        **{"description": "Clone web-01", "now": NOW, "actor": actor or make_actor(), **fields}
    )


def make_step(job: Job, actor: Actor | None = None, **fields: Any) -> Step:
    return steps.add_step(
        **{
            "job_id": job.pk,
            "description": "Copy disk",
            "type": "EXECUTING",
            "now": NOW,
            "actor": actor or make_actor(job.owner),
            **fields,
        }
    )


def forget_failed_logins() -> None:
    """In the memory of this process; what is in the database goes with the test."""
    for cache in (caches["process"], caches["default"]):
        if isinstance(cache, LocMemCache):
            cache.clear()
