"""The description of this API that programs read."""

from django.http import HttpResponse
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView


class OpenApi(APIView):
    """What this API can do."""

    authentication_classes = []
    permission_classes = [AllowAny]
    http_method_names = ["get", "head"]

    def get(self, request: Request) -> HttpResponse:
        """Read this document.

        OpenAPI 3.0, in JSON whatever is asked for. It needs no login.
        """
        from api.schema import document  # what it takes is loaded for who asks, not at each start

        return HttpResponse(document(), "application/json")
