"""The access tokens that users make for their programs."""

from datetime import datetime, timedelta
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from taskmonitor.errors import Invalid
from taskmonitor.models import AccessToken, Actor
from taskmonitor.pages.bidi import isolated
from taskmonitor.pages.confirm import Question, ask
from taskmonitor.pages.doors import page
from taskmonitor.pages.refusals import words
from taskmonitor.selectors.access import own_token
from taskmonitor.services import access
from taskmonitor.templatetags.monitor import absolute

LIVES = {"30": "30 days", "90": "90 days", "365": "a year", "": "until revoked"}
SCOPES = {
    "read": "read the jobs and commands that you see",
    "inject": "add jobs and steps, report on them and end them, if your roles allow it",
    "control": "run commands and control others' jobs, if your roles allow it",
}


@page("GET", "HEAD", "POST")
def tokens(request: HttpRequest, actor: Actor) -> HttpResponse:
    now = timezone.now()
    if request.method != "POST":
        return _show(request, actor, now, chosen={"read", "inject"}, life="90")
    name, life = request.POST.get("name", ""), request.POST.get("life", "")
    scope = request.POST.getlist("scope")
    try:
        if life not in LIVES:
            raise Invalid("life", "choose one of the list.")
        token, secret = access.add_token(
            user_id=cast(User, request.user).pk,
            name=name,
            scope=scope,
            expires=now + timedelta(days=int(life)) if life else None,
            actor=actor,
            now=now,
        )
    except Invalid as error:
        return _show(
            request, actor, now, status=400, problem=words(error), name=name, chosen=set(scope), life=life
        )
    return _show(request, actor, now, made=token, secret=secret, chosen={"read", "inject"}, life="90")


@page("GET", "HEAD", "POST")
def token_revoke(request: HttpRequest, actor: Actor, token_id: int) -> HttpResponse:
    if request.method != "POST":
        return ask(request, _before_revoking(own_token(token_id, actor)))
    access.revoke_token(token_id=token_id, actor=actor, now=timezone.now())
    messages.success(request, "Revoked: the token is no longer accepted.")
    return redirect("tokens")


def _before_revoking(token: AccessToken) -> Question:
    used = f"It was last used {absolute(token.last_used)}" if token.last_used else "It has never been used"
    place = f" from {isolated(token.last_used_from)}" if token.last_used and token.last_used_from else ""
    return Question(
        title=f"Revoke the token {isolated(token.name)}?",
        words="Programs that use it are refused from now on, until they get another one. This cannot be undone. "
        f"{used}{place}.",
        verb="Revoke",
        back=reverse("tokens"),
    )


def _show(
    request: HttpRequest, actor: Actor, now: datetime, *, status: int = 200, **form: Any
) -> HttpResponse:
    context = {
        "tokens": AccessToken.objects.filter(user=actor.user_id).exclude(name="").order_by("-created"),
        "lives": LIVES.items(),
        "scopes": SCOPES.items(),
        "site": request.build_absolute_uri("/"),
        "now": now,
        **form,
    }
    return render(request, "taskmonitor/tokens.html", context, status=status)
