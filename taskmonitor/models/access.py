"""Who may do what: rights, the roles that carry them, tokens, and the audit of both."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models

if TYPE_CHECKING:
    from taskmonitor.models.job import Job


class Right(StrEnum):
    """The permissions that Task Monitor adds to Django's, by codename."""

    INJECT = "inject_external_tasks"  # add and end jobs and steps, report progress and heartbeats
    VIEW_ALL = "view_all_jobs"  # see what others own
    CONTROL = "control_jobs"  # change what others own
    TRACES = "view_traces"  # see stack traces


class Role(StrEnum):
    """The groups that a migration makes, by name."""

    INJECTOR = "External tasks creator"
    OPERATOR = "Task operator"
    VIEWER = "Task viewer"
    TRACE_VIEWER = "Trace viewer"


ROLE_RIGHTS = {
    Role.INJECTOR: (Right.INJECT,),
    Role.OPERATOR: (Right.VIEW_ALL, Right.CONTROL),
    Role.VIEWER: (Right.VIEW_ALL,),
    Role.TRACE_VIEWER: (Right.TRACES,),
}


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who asks for something, and the rights that hold for this request."""

    user_id: int | None
    name: str
    rights: frozenset[str]

    def may(self, right: Right) -> bool:
        return right in self.rights

    def sees(self, job: Job) -> bool:
        return Right.VIEW_ALL in self.rights or job.owner_id == self.user_id

    def changes(self, job: Job) -> bool:
        return Right.CONTROL in self.rights or job.owner_id == self.user_id


SYSTEM = Actor(user_id=None, name="Task Monitor", rights=frozenset(Right))


def digest(secret: str) -> str:
    """What is stored of a token's secret. It is random and long, so a plain hash cannot be reversed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def session_digest(secret: str) -> str:
    """The same of a session's secret, so that neither opens what the other does."""
    return digest(f"session {secret}")


class AccessToken(models.Model):
    """A bearer token. Only its SHA-256 is stored, so it can be shown once and never again.

    A named one is made by its user for a program and lasts until it expires or is revoked; one without
    name is a login of an oVirt client (`/ovirt-engine/sso/oauth/token`), or its session (JSESSIONID).
    """

    SCOPES = {"read": (), "inject": (Right.INJECT,), "control": (Right.CONTROL,)}

    digest = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="access_tokens")
    name = models.CharField(max_length=100, blank=True, default="")
    scope = models.CharField(
        max_length=50, default="read inject control", help_text="Words of: read inject control."
    )
    created = models.DateTimeField()
    expires = models.DateTimeField(null=True, blank=True, db_index=True)
    last_used = models.DateTimeField(null=True, blank=True)
    last_used_from = models.GenericIPAddressField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "name"], name="token_name", condition=~models.Q(name="")),
        ]

    def __str__(self) -> str:
        return self.name or "login"


class LoginNetwork(models.Model):
    """Where a user has logged in from, so that attacks from elsewhere on their name do not hold them up there."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="login_networks"
    )
    network = models.CharField(max_length=50, help_text="An IPv4 address, or an IPv6 network of 64 bits.")
    last_login = models.DateTimeField(help_text="To the day.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "network"], name="login_network")]

    def __str__(self) -> str:
        return f"{self.user} {self.network}"


class AuditEntry(models.Model):
    """Who changed whose access, when; never altered afterwards."""

    time = models.DateTimeField()
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    actor_name = models.CharField(max_length=150)
    verb = models.CharField(max_length=50)
    subject = models.CharField(max_length=200, help_text="The user, or other thing, that it was done to.")
    detail = models.TextField(blank=True, default="")

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [models.Index(fields=["time"], name="audit_time")]

    def __str__(self) -> str:
        return f"{self.actor_name} {self.verb} {self.subject}"
