"""What follows from events that Django tells of."""

from typing import Any

from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from taskmonitor.services.accounts import end_logins, must_change_password
from taskmonitor.services.login_record import note_login, note_logout
from taskmonitor.sessions import PASSWORD_FIRST


@receiver(user_logged_in)
def _on_login(request: HttpRequest, user: User, **_: Any) -> None:
    if must_change_password(user):
        request.session[PASSWORD_FIRST] = True
    if request.method:  # a request that came from nowhere has none: Django's own, for its test client
        note_login(user, request.META.get("REMOTE_ADDR") or "", timezone.now())


@receiver(user_logged_out)
def _on_logout(request: HttpRequest, user: User | None, **_: Any) -> None:
    if user and request.method:
        note_logout(user, request.META.get("REMOTE_ADDR") or "", timezone.now())


@receiver(post_save, sender=User)
def _on_change(instance: User, **_: Any) -> None:
    if not instance.is_active:
        end_logins(instance, programs=True)
