"""Reads what Django reads of a request only when somebody asks for it: its query, and a form in its body.

Each door asks once, at its beginning, and refuses in its own form what cannot be read. Django itself would
raise from wherever it is read first, and again from its own page about that error.
"""

import codecs
from collections.abc import Container
from io import BytesIO

from django.conf import settings
from django.core.exceptions import (
    BadRequest,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, QueryDict
from django.http.multipartparser import MultiPartParserError

from taskmonitor.serving.asgi_types import Scope

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
UNREADABLE = (BadRequest, LookupError, MultiPartParserError, SuspiciousOperation, ValueError)


def request_of(scope: Scope, body: BytesIO) -> ASGIRequest:
    """The request, which Django cannot make if its Content-Type cannot be read; it then has none."""
    try:
        return ASGIRequest(scope, body)
    except UNREADABLE as error:
        headers = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
        request = ASGIRequest({**scope, "headers": headers}, body)
        request.unreadable = error  # type: ignore[attr-defined]
        return request


def refusal(
    request: HttpRequest, *, form: bool = True, charsets: Container[str] = ("utf-8",)
) -> tuple[int, str] | None:
    """The status and the reason if the query, or a `form`, cannot be read; both are then taken for empty.

    A form may be in one of the charsets, in Python's spelling. Django itself reads none but UTF-8.
    """
    try:
        if error := getattr(request, "unreadable", None):
            raise error
        request.GET  # noqa: B018 - reads it
        if form and request.method == "POST" and request.content_type in FORMS:
            given = (request.content_params or {}).get("charset", "utf-8")
            charset = codecs.lookup(given).name
            if charset not in charsets:
                raise BadRequest(f"it is written in UTF-8, and not in {given}.")
            request.body  # noqa: B018 - within its limit; and what reads it later finds it
            if charset != "utf-8" and request.content_type == FORMS[0]:
                request.POST = QueryDict(request.body, encoding=charset)
            request.POST  # noqa: B018
    except RequestDataTooBig:
        problem = 413, f"The form is too large: it may have {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes."
    except (TooManyFieldsSent, TooManyFilesSent):
        fields, files = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS, settings.DATA_UPLOAD_MAX_NUMBER_FILES
        problem = 400, f"The query or the form cannot be read: it may have {fields} fields and {files} files."
    except UNREADABLE as error:
        problem = 400, f"The query or the form cannot be read: {str(error)[:200]}"
    else:
        return None
    request.GET = request.POST = QueryDict()
    return problem
