"""One's own account: its password, and where it is logged in."""

from datetime import datetime
from typing import cast

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import password_validators_help_texts
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from taskmonitor.errors import Invalid, TooManyAttempts
from taskmonitor.models import AccessToken, Actor, Session
from taskmonitor.pages.doors import page
from taskmonitor.pages.refusals import words
from taskmonitor.services import accounts
from taskmonitor.serving.patience import postpone
from taskmonitor.sessions import PASSWORD_FIRST


@page()
def account(request: HttpRequest, actor: Actor) -> HttpResponse:
    return _show(request, actor)


@page("POST")
def account_end(request: HttpRequest, actor: Actor) -> HttpResponse:
    """End what was ticked; with the password, since whoever finds an open page shall not."""
    now, given = timezone.now(), request.POST
    try:
        accounts.check_own_password(
            user=_user(request), password=given.get("current", ""), address=_address(request), now=now
        )
    except (Invalid, TooManyAttempts) as problem:
        return _refused(_show(request, actor, words(problem)), problem)
    if not (given.getlist("session") or given.getlist("token")):
        return _refused(_show(request, actor, "Nothing was done: tick what is to end."), None)
    number = accounts.end_own_logins(
        actor=actor, sessions=given.getlist("session"), tokens=given.getlist("token"), now=now
    )
    messages.success(request, f"Ended: {number}.")
    return redirect("account")


@page("GET", "HEAD", "POST")
def account_password(request: HttpRequest, actor: Actor) -> HttpResponse:
    if request.method != "POST":
        return _show_password(request)
    user, given = _user(request), request.POST
    try:
        if given.get("new") != given.get("again"):
            raise Invalid("again", "the new password was not typed the same twice.")
        accounts.change_password(
            user=user,
            current=given.get("current", ""),
            new=given.get("new", ""),
            actor=actor,
            address=_address(request),
            now=timezone.now(),
        )
    except (Invalid, TooManyAttempts) as problem:
        return _refused(_show_password(request, words(problem)), problem)
    update_session_auth_hash(request, user)  # this session goes on, under a new key
    was_first = request.session.pop(PASSWORD_FIRST, False)
    messages.success(request, "Your password is changed; all other logins have ended.")
    return redirect("job_list" if was_first else "account")


def _show(request: HttpRequest, actor: Actor, problem: str = "") -> HttpResponse:
    now = timezone.now()
    context = {
        "sessions": _sessions(request, now),
        "tokens": _tokens(actor, now),
        "now": now,
        "problem": problem,
    }
    return render(request, "taskmonitor/account.html", context)


def _sessions(request: HttpRequest, now: datetime) -> list[tuple[str, Session]]:
    """The user's sessions, each with its label; this one's is empty."""
    lasting = Session.objects.filter(user=_user(request), expire_date__gt=now).order_by("-last_used")
    here = request.session.session_key
    return [("" if session.pk == here else accounts.public_id(session), session) for session in lasting]


def _tokens(actor: Actor, now: datetime) -> list[AccessToken]:
    """The user's tokens that can be used: those of their programs, then logins of clients."""
    tokens = AccessToken.objects.filter(user=actor.user_id).exclude(expires__lte=now)
    return list(tokens.order_by("-name", "-created"))


def _show_password(request: HttpRequest, problem: str = "") -> HttpResponse:
    context = {
        "problem": problem,
        "rules": password_validators_help_texts(),
        "first": request.session.get(PASSWORD_FIRST, False),
    }
    return render(request, "taskmonitor/account_password.html", context)


def _refused(response: HttpResponse, problem: Exception | None) -> HttpResponse:
    """The page that says what was wrong, under the status that says the same."""
    response.status_code = 400
    if isinstance(problem, TooManyAttempts):
        response.status_code, response.headers["Retry-After"] = 429, str(problem.wait)
        postpone(response, problem)
    return response


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)


def _address(request: HttpRequest) -> str:
    return request.META.get("REMOTE_ADDR") or ""
