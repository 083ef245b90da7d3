"""What the database knows of the site as a whole."""

from django.db import models


class SiteState(models.Model):
    """The one row about the site. A backup leaves it out, so that what is restored has to be released anew.

    Without the row, or without `released_at`, the database is a copy of which nobody has said yet that its
    workers may go on with what is in it.
    """

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY)
    version = models.CharField(max_length=50, help_text="The Task Monitor that last prepared the database.")
    released_at = models.DateTimeField(null=True, help_text="Since when its workers may work.")

    def __str__(self) -> str:
        return f"Task Monitor {self.version}"
