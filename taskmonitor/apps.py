from django.apps import AppConfig


class TaskMonitorConfig(AppConfig):
    name = "taskmonitor"
    verbose_name = "Task Monitor"
    default_auto_field = "django.db.models.BigAutoField"
