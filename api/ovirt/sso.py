"""Logging in and out as oVirt's SDKs do, at the origin whatever the address of the API."""

from collections.abc import Callable
from functools import wraps

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from api.authentication import address
from taskmonitor.errors import LoginRefused, PasswordExpired, TooManyAttempts
from taskmonitor.services.access import add_login_token, revoke_login_token
from taskmonitor.services.accounts import refuse_expired_password
from taskmonitor.services.login import verified
from taskmonitor.services.login_record import note_client_login
from taskmonitor.serving.patience import postpone

View = Callable[[HttpRequest], HttpResponse]


def _form_view(view: Callable[[HttpRequest, QueryDict], HttpResponse]) -> View:
    """A view of a form that is posted; whatever else comes is refused in JSON, as oVirt's SDKs need it."""

    @csrf_exempt
    @wraps(view)
    def wrapper(request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            return _refusal("invalid_request", "Send a POST.", 405, {"Allow": "POST"})
        return view(request, request.POST)

    return wrapper


@_form_view
def token(request: HttpRequest, form: QueryDict) -> HttpResponse:
    """POST grant_type=password, username and password: a bearer token (oVirt: /sso/oauth/token)."""
    if form.get("grant_type") != "password":
        return _refusal("unsupported_grant_type", "Only grant_type=password is supported.")
    name, password, now = form.get("username", ""), form.get("password", ""), timezone.now()
    try:
        user = verified(name=name, password=password, address=address(request), now=now)
        refuse_expired_password(user, now)
    except (LoginRefused, PasswordExpired) as problem:
        return _refusal("access_denied", f"Cannot authenticate user: {problem}")
    except TooManyAttempts as problem:
        refusal = _refusal("access_denied", str(problem), 429, {"Retry-After": str(problem.wait)})
        postpone(refusal, problem)
        return refusal
    note_client_login(user, address(request), now)
    ends = now + settings.LOGIN_TOKEN_LIFE
    return JsonResponse(
        {
            "access_token": add_login_token(user_id=user.pk, life_ends=ends, now=now),
            "scope": form.get("scope", "ovirt-app-api"),
            "exp": str(int(ends.timestamp() * 1000)),
            "token_type": "bearer",
        }
    )


@_form_view
def logout(request: HttpRequest, form: QueryDict) -> HttpResponse:
    """POST token: that login counts no longer; also for one that is empty or gone (oVirt: sso-logout)."""
    revoke_login_token(form.get("token", ""))
    return JsonResponse({})


@_form_view
def unsupported(request: HttpRequest, form: QueryDict) -> HttpResponse:
    """Ways to log in that oVirt has and we have not (Kerberos)."""
    return _refusal("unsupported_grant_type", "Log in with a user name and password.")


def _refusal(code: str, words: str, status: int = 400, headers: dict[str, str] | None = None) -> JsonResponse:
    return JsonResponse({"error": words, "error_code": code}, status=status, headers=headers)
