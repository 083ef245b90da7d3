"""Jobs, steps and events as they are stored, and what upkeep would do next."""

from typing import Any, cast

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from taskmonitor import upkeep
from taskmonitor.admin.base import ReadOnlyAdmin
from taskmonitor.models import Event, Job, Step


class JobsInTheLists(ChangeList):
    """The jobs that the monitor lists too: their order has an index. The others are found by id."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        return super().get_queryset(request, exclude_parameters).filter(cleared_at=None)


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    list_display = ("description", "status", "owner", "external", "start_time", "end_time", "in_monitor")
    list_filter = ("status", "external")
    list_select_related = ("owner",)
    search_fields = ("correlation_id__exact", "owner__username__exact")
    search_help_text = "A correlation id or the name of an owner; the monitor searches in everything."
    ordering = ("-start_time", "-id")
    change_list_template = "admin/taskmonitor/jobs.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return JobsInTheLists

    def view_on_site(self, job: Any) -> str:
        return reverse("job_detail", args=[job.pk])

    @admin.display(description="monitor")
    def in_monitor(self, job: Any) -> SafeString:
        return _link(job.pk)

    def get_urls(self) -> list[URLPattern]:
        retention = self.admin_site.admin_view(self.retention)
        return [path("retention/", retention, name="taskmonitor_retention"), *super().get_urls()]

    def retention(self, request: HttpRequest) -> HttpResponse:
        """The rules, and the jobs that the next pass of upkeep would begin with."""
        if not cast(User, request.user).is_superuser:
            raise PermissionDenied
        report = upkeep.planned(timezone.now())
        context = {
            **self.admin_site.each_context(request),
            "title": "Retention",
            "opts": self.opts,
            "rules": [
                ("Auto-cleared jobs that FINISHED leave the lists after", settings.CLEAR_FINISHED_AFTER),
                ("Other auto-cleared jobs leave the lists after", settings.CLEAR_FAILED_AFTER),
                ("Jobs that left the lists are deleted after", settings.KEEP_CLEARED_FOR),
            ],
            "plans": [
                ("Would be called UNKNOWN", report.lost),
                ("Would leave the lists", report.cleared),
                ("Would be deleted", report.deleted),
            ],
            "batch": upkeep.BATCH,
        }
        return TemplateResponse(request, "admin/taskmonitor/retention.html", context)


@admin.register(Step)
class StepAdmin(ReadOnlyAdmin):
    list_display = ("description", "type", "status", "external", "start_time", "end_time", "in_monitor")
    search_fields = ("job__correlation_id__exact",)
    search_help_text = "The correlation id of a job."

    def view_on_site(self, step: Any) -> str:
        return reverse("step_detail", args=[step.job_id, step.pk])

    @admin.display(description="monitor")
    def in_monitor(self, step: Any) -> SafeString:
        return _link(step.job_id)


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("position", "time", "verb", "old_status", "new_status", "actor_name", "in_monitor")
    ordering = ("-position",)

    @admin.display(description="monitor")
    def in_monitor(self, event: Any) -> SafeString:
        return _link(event.job_id)


def _link(job_id: object) -> SafeString:
    return format_html('<a href="{}">show</a>', reverse("job_detail", args=[job_id]))
