"""Who opens the pages, and what they find there."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

import tests.coordinator.commands  # noqa: F401 - registers them
from coordinator.executor import execute_async
from coordinator.models import CommandEntity
from taskmonitor.models import Job, Right, Role, Step
from taskmonitor.pages.urls import urlpatterns
from tests.factories import make_actor, make_job, make_step, make_user

POSTED = {"account_end", "job_clear", "job_bring_back"}
ASKED = {"token_revoke", "command_poll", "command_fail", "command_resume", "command_remove"}  # first, by GET
SHOWN_TO_ANYBODY = {"home", "login", "logout", "stream"}


@dataclass
class Site:
    """One job of `owner`, with a step and a step beneath it, and a command that no job shows."""

    owner: User
    job: Job
    step: Step
    below: Step
    command: CommandEntity

    def addresses(self) -> dict[str, str]:
        """Every page and fragment about this job, and every other, by the name of its route."""
        known = {"job_id": self.job.pk, "step_id": self.step.pk, "token_id": 1, "command_id": self.command.pk}
        return {
            str(route.name): reverse(
                str(route.name), kwargs={name: known[name] for name in route.pattern.converters}
            )
            for route in urlpatterns
        }

    def reading(self) -> dict[str, str]:
        """Those that are asked for by GET and need a login."""
        return {n: a for n, a in self.addresses().items() if n not in SHOWN_TO_ANYBODY | POSTED | ASKED}

    def of_the_job(self) -> dict[str, str]:
        return {n: a for n, a in self.reading().items() if str(self.job.pk) in a}

    def of_the_command(self) -> dict[str, str]:
        return {n: a for n, a in self.reading().items() if str(self.command.pk) in a}


@pytest.fixture
def site(db: None) -> Site:
    owner = make_user("plugin", Role.INJECTOR)
    job = make_job(make_actor(owner))
    step = make_step(job)
    below = make_step(job, parent_step_id=step.pk)
    actor = make_actor(owner, *Right)
    handle = execute_async("Quiet", now=timezone.now(), actor=actor)
    return Site(owner, job, step, below, CommandEntity.objects.get(pk=handle.command_id))


@pytest.fixture
def login() -> Callable[[User], Client]:
    def as_user(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return as_user


@pytest.fixture
def owner(site: Site, login: Callable[[User], Client]) -> Client:
    return login(site.owner)


@pytest.fixture
def viewer(site: Site, login: Callable[[User], Client]) -> Client:
    return login(make_user("viewer", Role.VIEWER))


@pytest.fixture
def stranger(site: Site, login: Callable[[User], Client]) -> Client:
    """One who may inject, and sees only what is theirs."""
    return login(make_user("stranger", Role.INJECTOR))
