"""What a browser is told when something could not be answered."""

import sys

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.defaults import server_error as crashed

from taskmonitor.database_trouble import is_database_trouble
from taskmonitor.pages.refusals import way_back

AGAIN = 10  # seconds until a page is asked for again


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's 500; if the database is in trouble 503, and a page that asks again by itself, if it was only read."""
    if not is_database_trouble(sys.exc_info()[1]):
        return crashed(request)
    response = HttpResponse(status=503, headers={"Retry-After": str(AGAIN), "Cache-Control": "no-store"})
    if "text/html" in request.META.get("HTTP_ACCEPT", "") and "HTTP_HX_REQUEST" not in request.META:
        again = AGAIN if request.method in ("GET", "HEAD") else None
        response.content = render_to_string("503.html", {"again": again, "before": way_back(request)})
    else:
        response.headers["Content-Type"] = "text/plain; charset=utf-8"
        response.content = "The database is not available now; nothing was stored. Try again."
    return response
