"""What every page and fragment begins with: who asks, and what becomes of a domain error."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache

from taskmonitor.logs import note
from taskmonitor.models import Actor, Right
from taskmonitor.pages.refusals import REFUSALS, only_posted, refusal, way_back
from taskmonitor.selectors import access

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, Actor, P], HttpResponse]
Door = Callable[Concatenate[HttpRequest, P], HttpResponse]

READING = ("GET", "HEAD")


def page(*methods: str) -> Callable[[View[P]], Door[P]]:
    """A view of a whole page, given the actor; nobody in particular is sent to the login page first."""

    def wrap(view: View[P]) -> Door[P]:
        return _door(view, methods or READING, _to_login)

    return wrap


def fragment(view: View[P]) -> Door[P]:
    """A view of a part of a page. A login page has no place in it, so nobody in particular gets 401."""
    return _door(view, READING, lambda request: HttpResponse("Log in first.", status=401))


def _to_login(request: HttpRequest) -> HttpResponse:
    """And from there back to the page; what was posted without a login was not done, which is said there."""
    if request.method in READING:
        return redirect_to_login(request.get_full_path())
    return redirect_to_login(way_back(request) or reverse("job_list"), f"{reverse('login')}?late=1")


def _door(
    view: View[P], methods: tuple[str, ...], to_nobody: Callable[[HttpRequest], HttpResponse]
) -> Door[P]:
    @never_cache
    @wraps(view)
    def door(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if request.method not in methods:
            return only_posted(request, methods)
        user = request.user
        if not isinstance(user, User):
            return to_nobody(request)
        actor = access.actor(user)
        note(user=actor.name)
        request.sees_commands = actor.may(Right.VIEW_ALL) or actor.may(Right.CONTROL)  # type: ignore[attr-defined]
        try:
            return view(request, actor, *args, **kwargs)
        except REFUSALS as error:
            return refusal(request, error)

    return door
