"""Logging in to pages and admin, by the same check of a password as everywhere else."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone

from taskmonitor.errors import LoginRefused, TooManyAttempts
from taskmonitor.services.login import verified
from taskmonitor.serving.patience import postpone

View = Callable[..., Any]


class PasswordBackend(ModelBackend):
    """Django's, except that guessing is slowed down as for the API: TooManyAttempts, even of the right password."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **_: Any
    ) -> User | None:
        if username is None or password is None:
            return None
        address = (request and request.META.get("REMOTE_ADDR")) or ""
        try:
            return verified(name=username, password=password, address=address, now=timezone.now())
        except LoginRefused:
            return None


class SlowedForm(AuthenticationForm):
    """A login form that says when an attempt was refused unchecked, and how long to wait."""

    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": "The name or the password is not right.",
    }
    refusal: TooManyAttempts | None = None

    def clean(self) -> dict[str, Any]:
        try:
            return super().clean()
        except TooManyAttempts as refusal:
            self.refusal = refusal
            raise ValidationError(str(refusal)) from None


def slowed(view: View) -> View:
    """A login view with a SlowedForm that answers 429, with Retry-After, when an attempt was not looked at."""

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        response = view(request, *args, **kwargs)
        form = (response.context_data or {}).get("form") if isinstance(response, TemplateResponse) else None
        if isinstance(form, SlowedForm) and form.refusal:
            response.status_code = 429
            response.headers["Retry-After"] = str(form.refusal.wait)
            postpone(response, form.refusal)
        return response

    return wrapper


login = slowed(LoginView.as_view(authentication_form=SlowedForm, redirect_authenticated_user=True))
