"""What every view of the API has: who asks, when, in which dialect, with which parameters."""

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypedDict
from urllib.parse import urlsplit

from django.contrib.auth.models import User
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import resolve
from django.utils import timezone
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.wire import Document, Members, Wire
from api.xml import DECLARATION
from taskmonitor.errors import Invalid, NotAllowed, NotInScope, TaskMonitorError
from taskmonitor.logs import note
from taskmonitor.models import AccessToken, Actor, Right
from taskmonitor.selectors.access import actor
from taskmonitor.services.idempotency import Answer, answer_once
from taskmonitor.services.text import checked

P = ParamSpec("P")
_TRUTHS = {"true": True, "t": True, "yes": True, "y": True, "1": True, "": True}
_TRUTHS |= {"false": False, "f": False, "no": False, "n": False, "0": False}


class By(TypedDict):
    """Who does something, and when."""

    actor: Actor
    now: datetime


class ApiView(APIView):
    """A view with the caller as `actor`, one instant as `now`, and parameters from query and matrix alike."""

    actor: Actor
    now: datetime
    request: Any  # with what ApiMiddleware adds: wire, matrix, correlation_id
    rights_to_post: tuple[Right, ...] = ()  # one of them is enough

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """As REST framework; and whoever may not do it learns that before anything else (oVirt: the same order)."""
        super().initial(request, *args, **kwargs)
        self.now = timezone.now()
        self.actor = actor(self.request.user, scope=self.request.auth)
        note(user=self.actor.name)
        if request.method in ("GET", "HEAD") and hasattr(self, "get"):
            self.need_scope("read")
        elif request.method == "POST" and hasattr(self, "post"):
            self.need_right_to_post()

    def actor_by_now(self) -> Actor | None:
        """The caller anew, after a while, with the rights that are left; None if they are let in no more."""
        again: Any = self.initialize_request(self.request._request)
        try:
            user = again.user and User.objects.filter(pk=again.user.pk, is_active=True).first()
        except (APIException, TaskMonitorError):
            return None
        return actor(user, scope=again.auth) if user else None

    def need_scope(self, *words: str) -> None:
        """NotInScope if the caller came with a token whose scope has none of the words."""
        if self.request.auth is not None and not set(words).intersection(self.request.auth.split()):
            raise NotInScope(*words)

    def need_right_to_post(self) -> None:
        """NotInScope or NotAllowed if neither token nor roles allow what is posted here."""
        wanted = set(self.rights_to_post)
        self.need_scope(*(word for word, rights in AccessToken.SCOPES.items() if wanted.intersection(rights)))
        if not any(map(self.actor.may, self.rights_to_post)):
            raise NotAllowed(self.rights_to_post[0])

    def perform_authentication(self, request: Request) -> None:
        """As REST framework, with the body read before, under Django's limit; a CSRF token is looked for in it."""
        request._request.body  # noqa: B018
        super().perform_authentication(request)

    def options(  # type: ignore[override]  # REST framework's request
        self, request: Request, *args: Any, **kwargs: Any
    ) -> Response:
        """An empty body; the methods are in `Allow`."""
        return Response()

    @property
    def default_response_headers(self) -> dict[str, str]:
        """As REST framework's, with `Allow` only where it says something: for OPTIONS, and for what is not allowed."""
        method = self.request.method.lower()
        if method != "options" and method in self.http_method_names and hasattr(self, method):
            return {"Vary": "Accept"}
        return super().default_response_headers

    @property
    def by(self) -> By:
        """Who does it and when, as every service takes it."""
        return {"actor": self.actor, "now": self.now}

    @property
    def wire(self) -> Wire:
        wire: Wire = self.request.wire
        return wire

    def recheck(self, **kwargs: Any) -> None:
        """NotFound if the caller may not see, by now, what stands at the address with these keys."""
        raise NotImplementedError

    def parameter(self, name: str) -> str | None:
        """The parameter from the query, or else from the path (`;name=value`)."""
        value: str | None = self.request.GET.get(name, self.request.matrix.get(name))
        return value if value is None else checked(name, value)

    def flag(self, name: str) -> bool:
        """The parameter, or else the header of that name, as a boolean; False if neither is there."""
        value = self.parameter(name)
        if value is None:
            value = self.request.headers.get(name, "false")
        if value.lower() not in _TRUTHS:
            raise Invalid(name, f"{value[:40]!r} is neither true nor false.")
        return _TRUTHS[value.lower()]

    def whole(self, name: str) -> int | None:
        """The parameter as a whole number from 0 on."""
        value = self.parameter(name)
        if value is None:
            return None
        if not (value.isascii() and value.isdecimal() and len(value) < 10):
            raise Invalid(name, f"{value[:40]!r} is not a whole number from 0 to 999999999.")
        return int(value)

    def next_href(self, collection: str, cursor: object) -> str:
        """The address of the same list behind `cursor`."""
        query = self.request.GET.copy()
        for name, value in self.request.matrix.items():
            query.setdefault(name, value)
        query["after"] = str(cursor)
        return f"{self.wire.base}/{collection}?{query.urlencode()}"

    def created(self, root: str, members: Members) -> Response:
        """201 with the new thing and its address."""
        return Response(
            Document(root, members),
            201,
            headers={"Location": self.request.build_absolute_uri(members["href"])},
        )

    def streamed(self, root: str, name: str, found: Iterator[list[str]]) -> StreamingHttpResponse:
        """A collection of any length, whose members are written as they are read."""
        pieces = _json(name, found) if self.wire.json else _xml(root, found)
        return StreamingHttpResponse(pieces, content_type=self.content_type)

    def written(self, text: str, **headers: str) -> HttpResponse:
        """An answer that is written already."""
        whole = text if self.wire.json else DECLARATION + text
        return HttpResponse(whole, content_type=self.content_type, headers=headers)

    @property
    def content_type(self) -> str:
        return f"{self.request.accepted_renderer.media_type}; charset=utf-8"


def _json(name: str, found: Iterator[list[str]]) -> Iterator[str]:
    before = f'{{"{name}":['
    for texts in found:
        for text in texts:
            yield before + text
            before = ","
    yield f"{before}]}}" if before != "," else "]}"


def _xml(root: str, found: Iterator[list[str]]) -> Iterator[str]:
    yield f"{DECLARATION}<{root}>"
    for texts in found:
        yield "".join(texts)
    yield f"</{root}>"


def once(
    post: Callable[Concatenate[Any, Request, P], HttpResponse],
) -> Callable[..., HttpResponseBase]:
    """A POST whose effect and answer are one for all requests with the same Idempotency-Key."""

    @wraps(post)
    def wrapper(view: Any, request: Request, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return post(view, request, *args, **kwargs)
        if not key.isascii() or not key.isprintable() or not 1 <= len(key) <= 255:
            raise Invalid("Idempotency-Key", "must be 1 to 255 printable ASCII characters.")

        def respond() -> Answer:
            response = view.finalize_response(request, post(view, request, *args, **kwargs), *args, **kwargs)
            if isinstance(response, Response):
                response.render()
            kept = ("Content-Type", "Location")
            return Answer(
                response.status_code,
                {name: response[name] for name in kept if name in response},
                response.content,
            )

        told = f"{request.method} {request.get_full_path()}\n".encode() + request._request.body
        answer = answer_once(
            user_id=view.actor.user_id,
            key=key,
            fingerprint=hashlib.sha256(told).hexdigest(),
            now=view.now,
            respond=respond,
            recheck=lambda kept: view.recheck(**(kwargs or _keys(kept.headers["Location"], view.wire.base))),
        )
        return HttpResponse(answer.body, status=answer.status_code, headers=answer.headers)

    return wrapper


def _keys(location: str, base: str) -> dict[str, Any]:
    """The keyword arguments of the view at the address of what was made, such as `job_id`."""
    found = resolve("/api" + urlsplit(location).path.removeprefix(base))
    return found.kwargs
