"""The command table: the truth about every command, and the queue that the workers take their work from."""

from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.db import models
from django.db.models import Q


class CommandStatus(models.TextChoices):
    """How far a command is (MISSION.md D18)."""

    NOT_STARTED = "NOT_STARTED", "not started"  # stored, and nothing of it was done
    ACTIVE = "ACTIVE", "active"  # `execute` was begun; it is waited for, or polled
    SUCCEEDED = "SUCCEEDED", "succeeded"  # its work went well; its end method has still to run
    FAILED = "FAILED", "failed"  # its work went wrong; its end method has still to run
    FAILED_RESTARTED = "FAILED_RESTARTED", "cut off"  # a restart cut `execute` off; as FAILED
    ENDED_SUCCESSFULLY = "ENDED_SUCCESSFULLY", "ended successfully"
    ENDED_WITH_FAILURE = "ENDED_WITH_FAILURE", "ended with failure"
    HELD = "HELD", "held"  # it cannot be built from its row now; not over: it waits for that to be mended
    UNKNOWN = "UNKNOWN", "unknown"  # over, and nobody knows what came of it


class Lane(models.IntegerChoices):
    """Which workers look at a command: a long `execute` never holds up polls, ends and control."""

    EXECUTE = 0, "to be executed"
    POLL = 1, "to be polled, ended or controlled"


class ExecutionReason(models.TextChoices):
    """Why a command runs."""

    REGULAR_FLOW = "REGULAR_FLOW", "regular flow"  # somebody wants what it does
    ROLLBACK_FLOW = "ROLLBACK_FLOW", "rollback"  # it undoes what another one did


S = CommandStatus
ENDED = (S.ENDED_SUCCESSFULLY, S.ENDED_WITH_FAILURE)
SETTLED = (S.SUCCEEDED, S.FAILED, S.FAILED_RESTARTED)
OVER = (*ENDED, S.UNKNOWN)  # nothing more is done with it, unless an operator wants it
UNKNOWN = Q(status__in=(S.HELD, S.UNKNOWN))  # what an operator has to look at
ROLLBACK = Q(execution_reason=ExecutionReason.ROLLBACK_FLOW)
INTERRUPTED = Q(executed=False, attempts__gt=0, ended_at__isnull=False)  # its work did not come to its end
BAD = (S.FAILED, S.FAILED_RESTARTED, S.ENDED_WITH_FAILURE, S.UNKNOWN)


class CommandEntity(models.Model):
    """One command, from before it is first executed until the clean-up removes it.

    NOT_STARTED -> ACTIVE | FAILED | HELD
    ACTIVE -> ACTIVE | SUCCEEDED | FAILED | FAILED_RESTARTED | ENDED_SUCCESSFULLY | ENDED_WITH_FAILURE | HELD
    SUCCEEDED -> ENDED_SUCCESSFULLY | FAILED | HELD
    FAILED -> ENDED_WITH_FAILURE | HELD
    FAILED_RESTARTED -> ENDED_WITH_FAILURE | ACTIVE | HELD
    HELD -> NOT_STARTED | ACTIVE | SUCCEEDED | FAILED | FAILED_RESTARTED | UNKNOWN
    UNKNOWN -> NOT_STARTED | ACTIVE | FAILED

    Out of HELD and UNKNOWN, and from FAILED_RESTARTED to ACTIVE, operators alone bring it.

    One without end method ends with its work. A row whose `due_at` has come and that nobody holds is
    claimed by a worker, which holds it until `lease_until` and writes to it only while `fence` is still the
    number that it got with the claim. What is `woken` while it is held is due at once when it is let go of.
    """

    TRANSITIONS = {
        S.NOT_STARTED: (S.ACTIVE, S.FAILED, S.HELD),
        S.ACTIVE: (S.ACTIVE, S.SUCCEEDED, S.FAILED, S.FAILED_RESTARTED, *ENDED, S.HELD),
        S.SUCCEEDED: (S.ENDED_SUCCESSFULLY, S.FAILED, S.HELD),
        S.FAILED: (S.ENDED_WITH_FAILURE, S.HELD),
        S.FAILED_RESTARTED: (S.ENDED_WITH_FAILURE, S.ACTIVE, S.HELD),
        S.HELD: (S.NOT_STARTED, S.ACTIVE, *SETTLED, S.UNKNOWN),
        S.UNKNOWN: (S.NOT_STARTED, S.ACTIVE, S.FAILED),
    }

    command_id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    command_type = models.CharField(max_length=100, help_text="Its name in the registry.")
    root_command_id = models.UUIDField(null=True, blank=True, help_text="The topmost command above it.")
    parent_command_id = models.UUIDField(null=True, blank=True)
    position = models.PositiveIntegerField(default=0, help_text="Its place among its siblings, from 0.")
    command_parameters = models.TextField(default="{}", help_text="JSON.")
    command_params_class = models.CharField(max_length=256, blank=True, default="")
    execution_reason = models.CharField(
        max_length=20, choices=ExecutionReason, default=ExecutionReason.REGULAR_FLOW
    )
    created_at = models.DateTimeField()
    status = models.CharField(max_length=20, choices=CommandStatus, null=True, default=None)
    callback_enabled = models.BooleanField(default=False)
    callback_notified = models.BooleanField(default=False)
    executed = models.BooleanField(default=False, help_text="`execute` ran to its end.")
    return_value = models.TextField(null=True, blank=True, help_text="JSON.")
    return_value_class = models.CharField(max_length=256, blank=True, default="")

    # On whose behalf, and where it is shown
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )
    correlation_id = models.CharField(max_length=50, blank=True, default="")
    job_id = models.UUIDField(null=True, blank=True, help_text="The job that shows it.")
    step_id = models.UUIDField(null=True, blank=True, help_text="The step that shows it.")
    owns_job = models.BooleanField(default=False, help_text="The job was made for it, and ends with it.")

    # Where it stands
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="When it fails if still active.")
    children = models.PositiveIntegerField(default=0, help_text="How many child commands it has.")
    stage = models.PositiveIntegerField(default=0, help_text="Serial operations begun.")
    checkpoint = models.JSONField(null=True, blank=True, help_text="From where `execute` can go on.")
    waits_for = models.CharField(max_length=100, blank=True, default="", help_text="The event it waits for.")
    event = models.JSONField(null=True, blank=True, help_text="What the event brought, not yet handled.")
    attempts = models.PositiveIntegerField(default=0, help_text="How often `execute` was begun.")
    polls = models.PositiveIntegerField(default=0)
    end_attempts = models.PositiveIntegerField(default=0, help_text="How often its end method failed.")
    success_number = models.PositiveIntegerField(
        null=True, blank=True, help_text="As how manieth of its siblings it succeeded, from 1."
    )
    held_from = models.CharField(max_length=20, blank=True, default="", help_text="What a HELD one was.")
    error = models.TextField(blank=True, default="", help_text="Why it failed, or cannot be rebuilt.")
    trace = models.TextField(blank=True, default="", help_text="For those who may see traces.")

    # The queue
    lane = models.PositiveSmallIntegerField(default=Lane.EXECUTE, choices=Lane)
    due_at = models.DateTimeField(null=True, blank=True, help_text="When it has to be looked at.")
    woken = models.BooleanField(default=False, help_text="It is to be looked at once more, at once.")
    poll_delay = models.PositiveSmallIntegerField(default=0, help_text="Seconds; 0 before the first poll.")
    lease_until = models.DateTimeField(null=True, blank=True)
    fence = models.PositiveBigIntegerField(default=0, help_text="Rises with each claim.")
    worker = models.CharField(max_length=150, blank=True, default="", help_text="Who holds it.")
    deaths = models.PositiveSmallIntegerField(
        default=0, help_text="Processes that ended while they were at what is to be done with it now."
    )
    death = models.CharField(max_length=100, blank=True, default="", help_text="How the last of them ended.")

    class Meta:
        db_table = "command_entities"
        verbose_name = "command"
        indexes = [
            models.Index(fields=["lane", "due_at"], name="command_due", condition=Q(due_at__isnull=False)),
            models.Index(fields=["lease_until"], name="command_held", condition=Q(lease_until__isnull=False)),
            models.Index(
                fields=["root_command_id"], name="command_root", condition=Q(root_command_id__isnull=False)
            ),
            models.Index(fields=["created_at", "command_id"], name="command_newest"),
            models.Index(fields=["user", "created_at", "command_id"], name="command_by_user"),
            models.Index(fields=["ended_at"], name="command_ended", condition=Q(ended_at__isnull=False)),
            models.Index(fields=["job_id"], name="command_job", condition=Q(job_id__isnull=False)),
            models.Index(fields=["waits_for"], name="command_waits", condition=~Q(waits_for="")),
            models.Index(
                fields=["command_type", "created_at", "command_id"],
                name="command_by_type",
                condition=Q(ended_at__isnull=False),
            ),
            *(  # what operators look for: few, and in the order of their list
                models.Index(fields=["created_at", "command_id"], name=f"command_{name}", condition=condition)
                for name, condition in (
                    ("live", Q(ended_at__isnull=True)),
                    ("failed", Q(status=S.ENDED_WITH_FAILURE)),
                    ("unknown", UNKNOWN),
                    ("rollback", ROLLBACK),
                    ("interrupted", INTERRUPTED),
                )
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["parent_command_id", "position"],
                name="command_position",
                condition=Q(parent_command_id__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.command_type} {self.command_id}"

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def top(self) -> UUID:
        """The id of the topmost command: its own if it has no parent."""
        return self.root_command_id or self.command_id

    def next_delay(self, longest: int) -> int:
        """Seconds until the poll after the next: 1, 2, 4, 8, ... `longest` (oVirt: AsyncCommandPollingRate)."""
        return min(self.poll_delay * 2 or 1, longest)

    def held(self, now: datetime) -> bool:
        return self.lease_until is not None and self.lease_until > now


class LifeSign(models.Model):
    """When a cluster of workers, or a task that they repeat, last showed that it lives; signs.py writes and reads it."""

    name = models.CharField(max_length=150, primary_key=True)
    since = models.DateTimeField(help_text="When it first did.")
    at = models.DateTimeField(help_text="When it last did, by the database's clock.")

    def __str__(self) -> str:
        return self.name


def lease_from(now: datetime) -> datetime:
    """Until when a claim made now holds."""
    lease: timedelta = settings.COMMAND_LEASE
    return now + lease
