"""The event feed's rows; feed.py is the only way to append or read them."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models

from taskmonitor.models.access import Actor
from taskmonitor.models.job import Job


class Verb(models.TextChoices):
    """What happened."""

    ADDED = "added", "added"
    MOVED = "moved", "changed status"
    PROGRESSED = "progressed", "reported progress"
    CLEARED = "cleared", "cleared"
    RETURNED = "returned", "brought back to the lists"


class FeedHorizon(models.Model):
    """The one row says up to which position retention may have deleted events."""

    position = models.PositiveBigIntegerField()

    def __str__(self) -> str:
        return str(self.position)


class Event(models.Model):
    """One change of a job or step, never altered afterwards. `position` is its place in commit order."""

    position = models.BigAutoField(primary_key=True)
    time = models.DateTimeField()
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="events", db_index=False)
    step_id = models.UUIDField(null=True, blank=True)
    version = models.PositiveIntegerField(help_text="The job's version after the change.")
    verb = models.CharField(max_length=16, choices=Verb)
    old_status = models.CharField(max_length=16, blank=True, default="")
    new_status = models.CharField(max_length=16, blank=True, default="")
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    actor_name = models.CharField(
        max_length=150, blank=True, default="", help_text="Kept if the user is deleted."
    )
    text = models.TextField(blank=True, default="")

    class Meta:
        indexes = [models.Index(fields=["job", "position"], name="event_of_job")]

    def __str__(self) -> str:
        return f"{self.position} {self.verb}"

    @classmethod
    def of(cls, job: Job, verb: Verb, *, actor: Actor, now: datetime, **fields: Any) -> "Event":
        """What `actor` did to `job` as it is now, not yet appended."""
        return cls(
            job=job,
            version=job.version,
            verb=verb,
            time=now,
            actor_id=actor.user_id,
            actor_name=actor.name,
            **fields,
        )
