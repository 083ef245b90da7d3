"""Logging in and out as oVirt's SDKs do, at the origin whatever the address of the API."""

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import APIException

from api.authentication import verified
from taskmonitor.services.access import add_login_token, revoke_secret


@csrf_exempt
def token(request: HttpRequest) -> HttpResponseBase:
    """POST grant_type=password, username and password: a bearer token (oVirt: /sso/oauth/token)."""
    if request.method != "POST":
        return _refusal("invalid_request", "Send a POST.", 405)
    if request.POST.get("grant_type") != "password":
        return _refusal("unsupported_grant_type", "Only grant_type=password is supported.")
    try:
        user = verified(request, request.POST.get("username", ""), request.POST.get("password", ""))
    except APIException as problem:
        return _refusal("access_denied", f"Cannot authenticate user: {problem.detail}")
    now = timezone.now()
    ends = now + settings.LOGIN_TOKEN_LIFE
    return JsonResponse(
        {
            "access_token": add_login_token(user_id=user.pk, life_ends=ends, now=now),
            "scope": request.POST.get("scope", "ovirt-app-api"),
            "exp": str(int(ends.timestamp() * 1000)),
            "token_type": "bearer",
        }
    )


@csrf_exempt
def logout(request: HttpRequest) -> HttpResponseBase:
    """POST token: it counts no longer; also for a token that is empty or gone (oVirt: sso-logout)."""
    if request.method != "POST":
        return _refusal("invalid_request", "Send a POST.", 405)
    revoke_secret(request.POST.get("token", ""))
    return JsonResponse({})


@csrf_exempt
def unsupported(request: HttpRequest) -> HttpResponseBase:
    """Ways to log in that oVirt has and we have not (Kerberos)."""
    return _refusal("unsupported_grant_type", "Log in with a user name and password.")


def _refusal(code: str, words: str, status: int = 400) -> JsonResponse:
    headers = {"Allow": "POST"} if status == 405 else {}
    return JsonResponse({"error": words, "error_code": code}, status=status, headers=headers)
