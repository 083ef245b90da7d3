from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("taskmonitor", "0011_first_cause")]

    operations = [
        migrations.RemoveIndex("job", "job_correlation"),
        migrations.AddIndex(
            "job",
            models.Index(
                fields=["correlation_id"], name="job_correlation", opclasses=["varchar_pattern_ops"]
            ),
        ),
    ]
