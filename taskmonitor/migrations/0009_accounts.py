import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def log_everybody_out(apps, schema_editor):
    """The sessions of before have no owner, so nobody could list or end theirs."""
    schema_editor.execute("DELETE FROM django_session")


class Migration(migrations.Migration):
    dependencies = [
        ("sessions", "0001_initial"),
        ("taskmonitor", "0008_site"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Session",
            fields=[
                (
                    "session_key",
                    models.CharField(
                        max_length=40, primary_key=True, serialize=False, verbose_name="session key"
                    ),
                ),
                ("session_data", models.TextField(verbose_name="session data")),
                ("expire_date", models.DateTimeField(db_index=True, verbose_name="expire date")),
                ("began", models.DateTimeField()),
                ("last_used", models.DateTimeField()),
                ("last_used_from", models.GenericIPAddressField(null=True)),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sessions",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={"verbose_name": "session"},
        ),
        migrations.CreateModel(
            name="TemporaryPassword",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="temporary_password",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("given", models.DateTimeField()),
            ],
        ),
        migrations.RunPython(log_everybody_out, migrations.RunPython.noop),
    ]
