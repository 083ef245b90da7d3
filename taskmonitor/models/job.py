"""The tree of work: a Job is a container of Steps, a Step may have sub-steps to any depth."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from taskmonitor.lifecycle import LIVE, Lifecycle, Status

EXTERNAL_JOB = "AddExternalJob"  # the action type of an injected job (oVirt: ActionType.AddExternalJob)


class StepType(models.TextChoices):
    """Which part of the work a step is."""

    VALIDATING = "VALIDATING", "validating"  # checks before anything is changed
    EXECUTING = "EXECUTING", "executing"  # the work itself
    FINALIZING = "FINALIZING", "finalizing"  # what is left to do after it
    UNKNOWN = "UNKNOWN", "unknown"  # not said; oVirt's Ansible module sends nothing else


def percent(current: int | None, end: int | None) -> int | None:
    """How much of `end` is done, 0 to 100; None if nobody said."""
    return None if current is None or not end else 100 * current // end


class Work(Lifecycle):
    """What a job and a step have in common beside their lifecycle."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    description = models.TextField()
    external = models.BooleanField(
        default=False, help_text="Run and reported by a plug-in, not by the server."
    )
    progress_current = models.BigIntegerField(null=True, blank=True)
    progress_end = models.BigIntegerField(null=True, blank=True)
    progress_text = models.TextField(blank=True, default="")
    last_updated = models.DateTimeField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.description[:80]

    @property
    def percent(self) -> int | None:
        """How far it is, 0 to 100; None if nobody said."""
        return percent(self.progress_current, self.progress_end)


class Job(Work):
    """One flow shown in the task monitor.

    STARTED -> FINISHED | FAILED | ABORTED | UNKNOWN
    UNKNOWN -> STARTED | FINISHED | FAILED | ABORTED

    A write to a job or to anything beneath it holds this row's lock, so `version` counts the writes.
    """

    action_type = models.CharField(max_length=50, default=EXTERNAL_JOB)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="jobs",
        db_index=False,
    )
    correlation_id = models.CharField(max_length=50)
    auto_cleared = models.BooleanField(
        default=False, help_text="The clean-up may clear it some time after its end."
    )
    cleared_at = models.DateTimeField(null=True, blank=True, help_text="When it left the lists.")
    version = models.PositiveIntegerField(default=1)
    heartbeat_limit = models.PositiveIntegerField(
        null=True, blank=True, help_text="Seconds without a sign of life after which it is UNKNOWN."
    )
    deadline = models.DateTimeField(
        null=True, blank=True, help_text="When it is UNKNOWN if it has not ended."
    )
    last_sign = models.DateTimeField(help_text="When its plug-in last said anything.")
    stale_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When one of the two limits ends."
    )
    steps_total = models.PositiveIntegerField(default=0)
    steps_open = models.PositiveIntegerField(default=0)
    steps_bad = models.PositiveIntegerField(default=0, help_text="Steps that FAILED or were ABORTED.")
    causes = models.PositiveIntegerField(
        default=0, help_text="Steps that failed by themselves, as services/_causes.py counts them."
    )
    first_cause = models.ForeignKey(
        "Step",
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,  # they are deleted together, and the deletion of a step looks for no job
        db_constraint=False,
        db_index=False,
        related_name="+",
        help_text="The first of the causes.",
    )
    text_id = models.PositiveBigIntegerField(
        null=True, editable=False, help_text="Its place in SQLite's index of descriptions."
    )
    entities: "models.ManyToManyField[Any, Any]" = models.ManyToManyField(
        "Entity", through="JobEntity", related_name="jobs"
    )

    class Meta:
        permissions = [
            ("inject_external_tasks", "Can inject external tasks"),
            ("view_all_jobs", "Can see everybody's jobs"),
            ("control_jobs", "Can control everybody's jobs"),
            ("view_traces", "Can see traces"),
        ]
        indexes = [  # each list of the monitor is an index read backwards: filter, then newest first
            models.Index(fields=["start_time", "id"], name="job_newest", condition=Q(cleared_at=None)),
            models.Index(
                fields=["status", "start_time", "id"], name="job_by_status", condition=Q(cleared_at=None)
            ),
            models.Index(
                fields=["owner", "start_time", "id"], name="job_by_owner", condition=Q(cleared_at=None)
            ),
            models.Index(
                fields=["owner", "status", "start_time", "id"],
                name="job_by_owner_status",
                condition=Q(cleared_at=None),
            ),
            models.Index(
                fields=["external", "start_time", "id"], name="job_by_external", condition=Q(cleared_at=None)
            ),
            models.Index(
                fields=["stale_at"],
                name="job_stale",
                condition=Q(status=Status.STARTED, stale_at__isnull=False),
            ),
            models.Index(  # PostgreSQL's usual one finds no beginnings, but for databases of the locale C
                fields=["correlation_id"], name="job_correlation", opclasses=["varchar_pattern_ops"]
            ),
            models.Index(
                fields=["auto_cleared", "end_time"],
                name="job_ended",
                condition=Q(cleared_at=None, end_time__isnull=False),
            ),
            models.Index(fields=["cleared_at"], name="job_to_delete", condition=Q(cleared_at__isnull=False)),
            models.Index(fields=["text_id"], name="job_text_id", condition=Q(text_id__isnull=False)),
        ]

    @property
    def live(self) -> bool:
        return self.status in LIVE

    @property
    def owner_name(self) -> str | None:
        """The user name of its owner, if it has one."""
        return self.owner.get_username() if self.owner else None

    def stale_after(self, sign: datetime, deadline: datetime | None) -> datetime | None:
        """When a job last heard of at `sign` has to be called UNKNOWN; None if it has no limit."""
        limits = [deadline] if deadline else []
        if self.heartbeat_limit:
            limits.append(sign + timedelta(seconds=self.heartbeat_limit))
        return min(limits, default=None)


class Step(Work):
    """One part of a job, under the job itself or under another of its steps.

    STARTED -> FINISHED | FAILED | ABORTED | UNKNOWN
    UNKNOWN -> STARTED | FINISHED | FAILED | ABORTED
    """

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="steps")
    parent_step = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.CASCADE, related_name="sub_steps", db_index=False
    )
    number = models.PositiveIntegerField(help_text="Position among its siblings, from 0, without gaps.")
    depth = models.PositiveIntegerField(default=0, help_text="How many steps stand above it.")
    type = models.CharField(max_length=16, choices=StepType)
    cause = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Its place among the causes of its job's failure, from 0; empty for others.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["job", "cause"], name="step_cause", condition=Q(cause__isnull=False)
            ),
            models.UniqueConstraint(fields=["parent_step", "number"], name="step_number"),
            models.UniqueConstraint(
                fields=["job", "number"], name="step_number_top", condition=Q(parent_step=None)
            ),
        ]
        indexes = [
            models.Index(fields=["job"], name="step_open", condition=Q(end_time=None)),
        ]
