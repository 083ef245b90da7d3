from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("coordinator", "0002_lists"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="commandentity",
            index=models.Index(
                condition=models.Q(("ended_at__isnull", False)),
                fields=["command_type", "created_at", "command_id"],
                name="command_by_type",
            ),
        ),
        migrations.AddIndex(
            model_name="commandentity",
            index=models.Index(
                condition=models.Q(("ended_at__isnull", True)),
                fields=["created_at", "command_id"],
                name="command_live",
            ),
        ),
        migrations.AddIndex(
            model_name="commandentity",
            index=models.Index(
                condition=models.Q(("status", "ENDED_WITH_FAILURE")),
                fields=["created_at", "command_id"],
                name="command_failed",
            ),
        ),
    ]
