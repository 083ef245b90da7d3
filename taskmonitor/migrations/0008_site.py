from django.db import migrations, models
from django.db.models.functions import Now


def release(apps, schema_editor):
    """A new database, and one that was in use before, is not a copy."""
    apps.get_model("taskmonitor", "SiteState").objects.create(id=1, version="", released_at=Now())


class Migration(migrations.Migration):
    dependencies = [("taskmonitor", "0007_login_networks")]

    operations = [
        migrations.CreateModel(
            name="SiteState",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                (
                    "version",
                    models.CharField(
                        help_text="The Task Monitor that last prepared the database.", max_length=50
                    ),
                ),
                (
                    "released_at",
                    models.DateTimeField(help_text="Since when its workers may work.", null=True),
                ),
            ],
        ),
        migrations.RunPython(release, migrations.RunPython.noop),
    ]
