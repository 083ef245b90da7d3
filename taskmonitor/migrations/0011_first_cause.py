import django.db.models.deletion
from django.db import migrations, models

# The rules of services/_causes.py for what was there before. Which steps were closed with their job nobody
# noted, so those without a reason that ended at the same time count as closed.
NUMBER_THE_CAUSES = """
UPDATE taskmonitor_step SET cause = numbered.place FROM (
    WITH RECURSIVE failed AS (
        SELECT step.id, step.job_id, step.parent_step_id, step.end_time, step.depth, step.number
        FROM taskmonitor_step AS step JOIN taskmonitor_job AS job ON job.id = step.job_id
        WHERE step.status = 'FAILED'
            AND (step.reason <> '' OR job.end_time IS NULL OR step.end_time <> job.end_time)
    ), above(id) AS (
        SELECT parent_step_id FROM failed WHERE parent_step_id IS NOT NULL
        UNION
        SELECT step.parent_step_id FROM taskmonitor_step AS step JOIN above ON step.id = above.id
        WHERE step.parent_step_id IS NOT NULL
    )
    SELECT id, row_number() OVER (PARTITION BY job_id ORDER BY end_time, depth DESC, number, id) - 1 AS place
    FROM failed WHERE NOT EXISTS (SELECT 1 FROM above WHERE above.id = failed.id)
) AS numbered WHERE taskmonitor_step.id = numbered.id
"""
COUNT_THEM = """
UPDATE taskmonitor_job SET causes = counted.number FROM (
    SELECT job_id, count(*) AS number FROM taskmonitor_step WHERE cause IS NOT NULL GROUP BY job_id
) AS counted WHERE taskmonitor_job.id = counted.job_id
"""
NAME_THE_FIRST = """
UPDATE taskmonitor_job SET first_cause_id = step.id FROM taskmonitor_step AS step
WHERE step.job_id = taskmonitor_job.id AND step.cause = 0
"""


class Migration(migrations.Migration):
    dependencies = [("taskmonitor", "0010_returned")]

    operations = [
        migrations.AddField(
            model_name="job",
            name="causes",
            field=models.PositiveIntegerField(
                default=0, help_text="Steps that failed by themselves, as services/_causes.py counts them."
            ),
        ),
        migrations.AddField(
            model_name="job",
            name="first_cause",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                help_text="The first of the causes.",
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="taskmonitor.step",
            ),
        ),
        migrations.AddField(
            model_name="step",
            name="cause",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="Its place among the causes of its job's failure, from 0; empty for others.",
                null=True,
            ),
        ),
        migrations.AddConstraint(
            model_name="step",
            constraint=models.UniqueConstraint(
                condition=models.Q(("cause__isnull", False)), fields=("job", "cause"), name="step_cause"
            ),
        ),
        *[
            migrations.RunSQL(statement, migrations.RunSQL.noop)
            for statement in (NUMBER_THE_CAUSES, COUNT_THEM, NAME_THE_FIRST)
        ],
    ]
