"""What work is done on: a virtual machine, a disk, a host; anything that a plug-in gives a type and an id."""

from django.db import models
from django.db.models.functions import Upper

from taskmonitor.models.job import Job


class Entity(models.Model):
    """A thing of the site, named by its owner's type and id, for instance ("vm", "web-01")."""

    type = models.CharField(max_length=50)
    key = models.CharField(max_length=255, help_text="Its id, as the plug-in that owns it writes it.")
    name = models.CharField(max_length=255)

    class Meta:
        verbose_name_plural = "entities"
        constraints = [models.UniqueConstraint(fields=["type", "key"], name="entity_key")]
        indexes = [
            models.Index(Upper("name"), name="entity_by_name"),
            models.Index(Upper("key"), name="entity_by_key"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.name}"


class JobEntity(models.Model):
    """A job works on an entity; the job's start time stands here too, so that a history is one index read."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, db_index=False)
    entity = models.ForeignKey(Entity, on_delete=models.CASCADE, db_index=False)
    start_time = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "entity"], name="job_entity")]
        indexes = [models.Index(fields=["entity", "start_time", "job"], name="entity_history")]

    def __str__(self) -> str:
        return f"{self.job_id} on {self.entity_id}"
