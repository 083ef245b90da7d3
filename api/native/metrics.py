"""What Prometheus reads."""

from typing import Any

from django.conf import settings
from django.http import HttpResponse
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from rest_framework.request import Request

from api.views import ApiView
from coordinator.metrics import Work
from taskmonitor.errors import NotAllowed
from taskmonitor.metrics import REGISTRY, exposition
from taskmonitor.models import Right

REGISTRY.register(Work())


class Metrics(ApiView):
    """For who may see everybody's jobs, or for everybody if the operator says so."""

    http_method_names = ["get", "head"]
    schema = None  # it is no part of the API that OpenAPI describes

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if settings.METRICS_PUBLIC:
            return
        super().initial(request, *args, **kwargs)
        if not self.actor.may(Right.VIEW_ALL):
            raise NotAllowed(Right.VIEW_ALL)

    def get(self, request: Request) -> HttpResponse:
        """All metrics in Prometheus's text format."""
        return HttpResponse(exposition.text(), content_type=CONTENT_TYPE_PLAIN_0_0_4)
