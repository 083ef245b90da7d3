from taskmonitor.models.access import (
    ROLE_RIGHTS,
    SYSTEM,
    AccessToken,
    Actor,
    AuditEntry,
    LoginNetwork,
    Right,
    Role,
)
from taskmonitor.models.account import Session, TemporaryPassword
from taskmonitor.models.entity import Entity, JobEntity
from taskmonitor.models.event import Event, FeedHorizon, Verb
from taskmonitor.models.idempotency import IdempotencyRecord
from taskmonitor.models.job import Job, Step, StepType
from taskmonitor.models.site import SiteState

__all__ = [
    "ROLE_RIGHTS",
    "SYSTEM",
    "AccessToken",
    "Actor",
    "AuditEntry",
    "Entity",
    "Event",
    "FeedHorizon",
    "IdempotencyRecord",
    "Job",
    "JobEntity",
    "LoginNetwork",
    "Right",
    "Role",
    "Session",
    "SiteState",
    "Step",
    "StepType",
    "TemporaryPassword",
    "Verb",
]
