"""Logging in and out as oVirt's SDKs do, at the origin whatever the address of the API."""

from collections.abc import Callable
from functools import wraps

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import AuthenticationFailed

from api.authentication import CHALLENGE, address, name_and_password
from taskmonitor.errors import LoginRefused, PasswordExpired, TooManyAttempts
from taskmonitor.services.access import add_login_token, revoke_login_token
from taskmonitor.services.accounts import refuse_expired_password
from taskmonitor.services.login import verified
from taskmonitor.services.login_record import note_client_login
from taskmonitor.serving.patience import postpone

View = Callable[[HttpRequest], HttpResponse]

BY_FORM, BY_HEADER = "password", "urn:ovirt:params:oauth:grant-type:http"


def _answers(*methods: str) -> Callable[[View], View]:
    """A view of these methods; whatever else comes is refused in JSON, as oVirt's SDKs need it."""

    def decorate(view: View) -> View:
        @csrf_exempt
        @wraps(view)
        def wrapper(request: HttpRequest) -> HttpResponse:
            if request.method not in methods:
                allowed = {"Allow": ", ".join(methods)}
                return _refusal("invalid_request", f"Send a {' or '.join(methods)}.", 405, allowed)
            return view(request)

        return wrapper

    return decorate


@_answers("GET", "POST")
def token(request: HttpRequest) -> HttpResponse:
    """A bearer token for a name and a password: of a form, or of a Basic header (oVirt: /sso/oauth/token).

    A GET may make one too, for no page of another site can read the answer.
    """
    return _token(request, BY_FORM, BY_HEADER)


@_answers("GET", "POST")
def token_by_header(request: HttpRequest) -> HttpResponse:
    """A token for the Basic header alone (oVirt: /sso/oauth/token-http-auth, which oVirt also uses for Kerberos; that is not supported)."""
    return _token(request, BY_HEADER)


def _token(request: HttpRequest, *grants: str) -> HttpResponse:
    if "password" in request.GET:
        return _refusal(
            "invalid_request", "A password in an address ends up in logs; send it in the form of a POST."
        )
    grant = request.POST.get("grant_type") or request.GET.get("grant_type")
    if request.method != "POST" and grant != BY_HEADER:
        return _refusal("invalid_request", "Send the name and the password in the form of a POST.")
    if grant not in grants:
        known = " or ".join(f"grant_type={one}" for one in grants)
        return _refusal("unsupported_grant_type", f"Only {known} is supported.")
    if grant == BY_HEADER:
        return _by_header(request)
    return _granted(request, request.POST.get("username", ""), request.POST.get("password", ""))


def _by_header(request: HttpRequest) -> HttpResponse:
    try:
        given = name_and_password(request)
    except AuthenticationFailed as problem:
        return _challenge(str(problem))
    if given is None:
        return _challenge("Give a user name and a password in a Basic header; there is no login by Kerberos.")
    return _granted(request, *given, refuse=_challenge)


def _challenge(words: str) -> HttpResponse:
    return _refusal("access_denied", words, 401, {"WWW-Authenticate": CHALLENGE})


def _denied(words: str) -> HttpResponse:
    return _refusal("access_denied", words)


def _granted(
    request: HttpRequest, name: str, password: str, refuse: Callable[[str], HttpResponse] = _denied
) -> HttpResponse:
    now = timezone.now()
    try:
        user = verified(name=name, password=password, address=address(request), now=now)
        refuse_expired_password(user, now)
    except (LoginRefused, PasswordExpired) as problem:
        return refuse(f"Cannot authenticate user: {problem}")
    except TooManyAttempts as problem:
        refusal = _refusal("access_denied", str(problem), 429, {"Retry-After": str(problem.wait)})
        postpone(refusal, problem)
        return refusal
    note_client_login(user, address(request), now)
    ends = now + settings.LOGIN_TOKEN_LIFE
    return JsonResponse(
        {
            "access_token": add_login_token(user_id=user.pk, life_ends=ends, now=now),
            "scope": request.POST.get("scope") or request.GET.get("scope") or "ovirt-app-api",
            "exp": str(int(ends.timestamp() * 1000)),
            "token_type": "bearer",
        }
    )


@_answers("POST")
def logout(request: HttpRequest) -> HttpResponse:
    """POST token: that login counts no longer; also for one that is empty or gone (oVirt: sso-logout)."""
    revoke_login_token(request.POST.get("token", ""))
    return JsonResponse({})


def _refusal(code: str, words: str, status: int = 400, headers: dict[str, str] | None = None) -> JsonResponse:
    return JsonResponse({"error": words, "error_code": code}, status=status, headers=headers)
