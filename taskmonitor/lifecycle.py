"""The one guarded way a status changes."""

from typing import Any

from django.db import models

from taskmonitor.errors import TransitionError
from taskmonitor.statements import update


class Status(models.TextChoices):
    """What has become of a piece of work; the five values of the external-tasks design."""

    STARTED = "STARTED", "started"  # somebody works on it
    FINISHED = "FINISHED", "finished"  # ended well
    FAILED = "FAILED", "failed"  # ended badly
    ABORTED = "ABORTED", "aborted"  # ended because somebody wanted it to
    UNKNOWN = "UNKNOWN", "unknown"  # nobody has heard of it in time; it may come back


ENDED = (Status.FINISHED, Status.FAILED, Status.ABORTED)
LIVE = (Status.STARTED, Status.UNKNOWN)


class Lifecycle(models.Model):
    """Work that starts, may be lost sight of, and ends once.

    STARTED -> FINISHED | FAILED | ABORTED | UNKNOWN
    UNKNOWN -> STARTED | FINISHED | FAILED | ABORTED
    """

    TRANSITIONS = {
        Status.STARTED: (Status.FINISHED, Status.FAILED, Status.ABORTED, Status.UNKNOWN),
        Status.UNKNOWN: (Status.STARTED, Status.FINISHED, Status.FAILED, Status.ABORTED),
    }

    status = models.CharField(max_length=16, choices=Status, default=Status.STARTED)
    reason = models.TextField(blank=True, default="", help_text="Why it is FAILED, ABORTED or UNKNOWN.")
    start_time = models.DateTimeField()
    end_time = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    def change(self, **fields: Any) -> None:
        """Write `fields` to this row alone, in one UPDATE."""
        update(type(self), self.pk, fields)
        self.remember(**fields)

    def move(self, target: Status, **fields: Any) -> None:
        """Move to `target`, writing `fields` in the same UPDATE, or raise TransitionError.

        Of two processes that race to move one row exactly one wins.
        """
        sources = tuple(source for source, targets in self.TRANSITIONS.items() if target in targets)
        fields = {"status": target, **fields}
        if not update(type(self), self.pk, fields, statuses=sources):
            self.refresh_from_db(fields=["status", "end_time"])
            raise TransitionError(str(self._meta.verbose_name), self.status, target, self.end_time)
        self.remember(**fields)

    def remember(self, **fields: Any) -> None:
        """Set `fields`, which are written, or will be with the whole of a new row."""
        for name, value in fields.items():
            setattr(self, name, value)
