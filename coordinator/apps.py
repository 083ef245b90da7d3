from django.apps import AppConfig
from django.db.models.signals import post_migrate


class CoordinatorConfig(AppConfig):
    name = "coordinator"

    def ready(self) -> None:
        from coordinator.schedules import make_schedules

        post_migrate.connect(make_schedules, dispatch_uid="coordinator.schedules")
