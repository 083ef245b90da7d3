import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("coordinator", "0001_commands"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterField(
            model_name="commandentity",
            name="user",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddIndex(
            model_name="commandentity",
            index=models.Index(fields=["user", "created_at", "command_id"], name="command_by_user"),
        ),
        migrations.AddIndex(
            model_name="commandentity",
            index=models.Index(
                condition=models.Q(("status", "UNKNOWN")),
                fields=["created_at", "command_id"],
                name="command_unknown",
            ),
        ),
        migrations.AddIndex(
            model_name="commandentity",
            index=models.Index(
                condition=models.Q(("execution_reason", "ROLLBACK_FLOW")),
                fields=["created_at", "command_id"],
                name="command_rollback",
            ),
        ),
        migrations.AddIndex(
            model_name="commandentity",
            index=models.Index(
                condition=models.Q(("attempts__gt", 0), ("ended_at__isnull", False), ("executed", False)),
                fields=["created_at", "command_id"],
                name="command_interrupted",
            ),
        ),
    ]
