"""Passwords, and the logins that stand for them: a change of a password ends them all."""

import hashlib
from collections.abc import Collection
from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from taskmonitor.errors import Invalid, LoginRefused, PasswordExpired
from taskmonitor.models import AccessToken, Actor, Session, TemporaryPassword
from taskmonitor.services.access import audit
from taskmonitor.services.login import confirm_password
from taskmonitor.services.transaction import writing


def check_own_password(*, user: User, password: str, address: str, now: datetime) -> None:
    """Invalid if that is not the user's password; TooManyAttempts after many that were not."""
    try:
        confirm_password(user=user, password=password, address=address, now=now)
    except LoginRefused:
        raise Invalid("current password", "is not right.") from None


def check_new_password(field: str, password: str, user: User) -> None:
    """Invalid if the password is one that is easily guessed (AUTH_PASSWORD_VALIDATORS)."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Invalid(field, " ".join(error.messages)) from None


def change_password(*, user: User, current: str, new: str, actor: Actor, address: str, now: datetime) -> None:
    """Give the user the new password; with the old one all their sessions and tokens end."""
    check_own_password(user=user, password=current, address=address, now=now)
    if new == current:
        raise Invalid("new password", "is the current one.")
    check_new_password("new password", new, user)
    user.set_password(new)
    with writing():
        user.save(update_fields=["password"])
        audit(verb="changed", subject=user.get_username(), detail="own password", actor=actor, now=now)


def require_password_change(user: User, now: datetime) -> None:
    """Let the user change the password, which somebody else chose, before they do anything else."""
    TemporaryPassword.objects.update_or_create(user=user, defaults={"given": now})


def must_change_password(user: User) -> bool:
    """Whether the password must be changed before anything else is done on pages."""
    return TemporaryPassword.objects.filter(user=user).exists()


def refuse_expired_password(user: User, now: datetime) -> None:
    """PasswordExpired if somebody else chose the password of a user that `verified` found, and long ago."""
    temporary: TemporaryPassword | None = getattr(user, "temporary_password", None)
    if temporary and temporary.given + settings.TEMPORARY_PASSWORD_LIFE <= now:
        raise PasswordExpired(PasswordExpired.__doc__)


def end_logins(user: User, *, programs: bool) -> None:
    """End the user's sessions and logins of clients; the named tokens of their programs too if that is said."""
    with writing():
        Session.objects.filter(user=user).delete()
        tokens = AccessToken.objects.filter(user=user)
        (tokens if programs else tokens.filter(name="")).delete()


def end_own_logins(*, actor: Actor, sessions: Collection[str], tokens: Collection[str], now: datetime) -> int:
    """End those of the actor's sessions, by their labels, and of their tokens, by their keys; how many there were."""
    with writing():
        ended = [
            session
            for session in Session.objects.filter(user=actor.user_id)
            if public_id(session) in sessions
        ]
        revoked = [
            token for token in AccessToken.objects.filter(user=actor.user_id) if str(token.pk) in tokens
        ]
        Session.objects.filter(pk__in=[session.pk for session in ended]).delete()
        AccessToken.objects.filter(pk__in=[token.pk for token in revoked]).delete()
        for session in ended:
            detail = f"last used from {session.last_used_from}"
            audit(verb="ended session", subject=actor.name, detail=detail, actor=actor, now=now)
        for token in revoked:
            audit(verb="revoked token", subject=actor.name, detail=str(token), actor=actor, now=now)
    return len(ended) + len(revoked)


def public_id(session: Session) -> str:
    """What a page calls the session by; its key, which opens it, is for the cookie alone."""
    return hashlib.sha256(session.session_key.encode()).hexdigest()[:20]


class NotTheProduct:
    """A validator that refuses the product's name as a password, whatever signs are strewn in."""

    def validate(self, password: str, user: User | None = None) -> None:
        if "".join(filter(str.isalpha, password.lower())) in ("taskmonitor", "monitor", "task"):
            raise ValidationError("This password is the name of this site.")

    def get_help_text(self) -> str:
        return "Your password cannot be the name of this site."


class EndsLogins:
    """A validator that refuses nothing: Django tells validators of each change of a password, whoever made it."""

    def validate(self, password: str, user: User | None = None) -> None:
        """Any password will do."""

    def password_changed(self, password: str, user: User) -> None:
        end_logins(user, programs=True)
        TemporaryPassword.objects.filter(user=user).delete()

    def get_help_text(self) -> str:
        return "A change ends all sessions and access tokens of the account."
