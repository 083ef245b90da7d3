from django.apps import AppConfig
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate, pre_migrate


class TaskMonitorConfig(AppConfig):
    name = "taskmonitor"
    verbose_name = "Task Monitor"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from taskmonitor import checks, receivers, sqlite_file, sqlite_planner, text_index  # noqa: F401 - they connect themselves
        from taskmonitor.serving.versions import refuse_newer

        connection_created.connect(refuse_newer, dispatch_uid="taskmonitor.serving.versions")
        pre_migrate.connect(sqlite_file.prepare, sender=self, dispatch_uid="taskmonitor.sqlite_file")
        post_migrate.connect(text_index.build, sender=self, dispatch_uid="taskmonitor.text_index")
        post_migrate.connect(sqlite_planner.tell, sender=self, dispatch_uid="taskmonitor.sqlite_planner")
