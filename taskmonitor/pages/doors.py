"""What every page and fragment begins with: who asks, and what becomes of a domain error."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.views.decorators.cache import never_cache

from taskmonitor.errors import Invalid, NotAllowed, NotFound
from taskmonitor.logs import note
from taskmonitor.models import Actor, Right
from taskmonitor.selectors import access

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, Actor, P], HttpResponse]
Door = Callable[Concatenate[HttpRequest, P], HttpResponse]

READING = ("GET", "HEAD")


def page(*methods: str) -> Callable[[View[P]], Door[P]]:
    """A view of a whole page, given the actor; nobody in particular is sent to the login page first."""

    def wrap(view: View[P]) -> Door[P]:
        return _door(view, methods or READING, lambda request: redirect_to_login(request.get_full_path()))

    return wrap


def fragment(view: View[P]) -> Door[P]:
    """A view of a part of a page. A login page has no place in it, so nobody in particular gets 401."""
    return _door(view, READING, lambda request: HttpResponse("Log in first.", status=401))


def _door(
    view: View[P], methods: tuple[str, ...], to_nobody: Callable[[HttpRequest], HttpResponse]
) -> Door[P]:
    @never_cache
    @wraps(view)
    def door(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if request.method not in methods:
            return HttpResponseNotAllowed(methods)
        user = request.user
        if not isinstance(user, User):
            return to_nobody(request)
        actor = access.actor(user)
        note(user=actor.name)
        request.sees_commands = actor.may(Right.VIEW_ALL) or actor.may(Right.CONTROL)  # type: ignore[attr-defined]
        try:
            return view(request, actor, *args, **kwargs)
        except NotFound as error:
            raise Http404(str(error)) from None
        except NotAllowed as error:
            raise PermissionDenied(str(error)) from None
        except Invalid as error:
            return HttpResponse(str(error), status=400, content_type="text/plain; charset=utf-8")

    return door
