"""Granting roles and tokens; each change is audited in its own transaction."""

import logging
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User

from taskmonitor.errors import Invalid, NotFound
from taskmonitor.models import AccessToken, Actor, AuditEntry, Role
from taskmonitor.models.access import digest, session_digest
from taskmonitor.services.text import required
from taskmonitor.services.times import later
from taskmonitor.services.transaction import note, writing

logger = logging.getLogger(__name__)

SESSION_IDLE = timedelta(minutes=30)  # of an oVirt client, as an engine has it
NOTED_AFTER = timedelta(minutes=1)  # how far a token's last use may lag
_MARK = "tm_"  # begins each token, so that scanners for leaked secrets can know it


def grant_role(*, role: Role, users: Iterable[User], actor: Actor, now: datetime) -> int:
    """Give the role to those who do not have it; how many got it. It counts from their next request on."""
    return _change_role(role, users, "granted", actor, now)


def revoke_role(*, role: Role, users: Iterable[User], actor: Actor, now: datetime) -> int:
    """Take the role from those who have it; how many lost it."""
    return _change_role(role, users, "revoked", actor, now)


def _change_role(role: Role, users: Iterable[User], verb: str, actor: Actor, now: datetime) -> int:
    changed = 0
    with writing():
        group = Group.objects.get(name=role)
        holders = set(group.user_set.values_list("pk", flat=True))
        for user in users:
            if (user.pk in holders) == (verb == "granted"):
                continue
            if verb == "granted":
                user.groups.add(group)
            else:
                user.groups.remove(group)
            audit(verb=verb, subject=user.get_username(), detail=str(role), actor=actor, now=now)
            changed += 1
    return changed


def audit(*, verb: str, subject: str, detail: str, actor: Actor, now: datetime) -> None:
    """Write one audit entry, within the caller's transaction; the log has it too, which can be kept out of reach."""
    logger.info("Audit actor=%r verb=%r subject=%r detail=%r", actor.name, verb, subject, detail)
    AuditEntry.objects.create(
        time=now, actor_id=actor.user_id, actor_name=actor.name, verb=verb, subject=subject, detail=detail
    )


def add_token(
    *, user_id: int, name: str, scope: Iterable[str], expires: datetime | None, actor: Actor, now: datetime
) -> tuple[AccessToken, str]:
    """A new named token of the user's, and its secret, which is kept nowhere."""
    words = [word for word in AccessToken.SCOPES if word in set(scope)]
    if not words:
        raise Invalid("scope", f"choose among {', '.join(AccessToken.SCOPES)}.")
    expires = later("expires", expires, now)
    name = required("name", name.strip(), longest=100)
    secret = _MARK + secrets.token_urlsafe(32)
    with writing():
        User.objects.select_for_update().get(pk=user_id)  # of two requests for one name, one comes second
        if AccessToken.objects.filter(user_id=user_id, name=name).exists():
            raise Invalid(
                "name", f"you have a token of this name already; revoke it or choose another name: {name}"
            )
        token = AccessToken.objects.create(
            digest=digest(secret),
            user_id=user_id,
            name=name,
            scope=" ".join(words),
            created=now,
            expires=expires,
        )
        audit(verb="made token", subject=actor.name, detail=f"{name}: {token.scope}", actor=actor, now=now)
    return token, secret


def add_login_token(*, user_id: int, life_ends: datetime, now: datetime) -> str:
    """The secret of a new token that stands for one login of an oVirt client."""
    secret = _MARK + secrets.token_urlsafe(32)
    with writing():
        AccessToken.objects.create(digest=digest(secret), user_id=user_id, created=now, expires=life_ends)
    return secret


def add_session(*, user_id: int, address: str, now: datetime) -> str:
    """The secret of a new session of an oVirt client, which ends when it is idle (oVirt: JSESSIONID)."""
    secret = _MARK + secrets.token_urlsafe(32)
    with writing():
        AccessToken.objects.create(
            digest=session_digest(secret),
            user_id=user_id,
            created=now,
            expires=now + SESSION_IDLE,
            last_used=now,
            last_used_from=known_address(address),
        )
    return secret


def end_session(secret: str) -> None:
    """End the session with that secret."""
    with writing():
        AccessToken.objects.filter(digest=session_digest(secret)).delete()


def note_use(*, token: AccessToken, address: str, now: datetime, idle: timedelta | None = None) -> None:
    """Keep when and from where the token was last used, to the minute; a session may be `idle` for so long from then on."""
    if token.last_used and token.last_used <= now < token.last_used + NOTED_AFTER:
        return
    told: dict[str, Any] = {"last_used": now, "last_used_from": known_address(address)}
    if idle:
        told["expires"] = min(token.created + settings.LOGIN_TOKEN_LIFE, now + idle)
    used = AccessToken.objects.filter(pk=token.pk)
    note(lambda: used.update(**told))


def revoke_tokens(*, tokens: Iterable[AccessToken], actor: Actor, now: datetime) -> int:
    """End anybody's tokens at once, as an admin does; how many."""
    with writing():
        revoked = list(tokens)
        for token in revoked:
            subject = token.user.get_username()
            audit(verb="revoked token", subject=subject, detail=str(token), actor=actor, now=now)
        AccessToken.objects.filter(pk__in=[token.pk for token in revoked]).delete()
    return len(revoked)


def revoke_token(*, token_id: int, actor: Actor, now: datetime) -> None:
    """End the actor's own named token at once; NotFound for anybody else's."""
    with writing():
        token = AccessToken.objects.filter(pk=token_id, user=actor.user_id).exclude(name="").first()
        if token is None:
            raise NotFound("Token", token_id)
        token.delete()
        audit(verb="revoked token", subject=actor.name, detail=token.name, actor=actor, now=now)


def revoke_login_token(secret: str) -> None:
    """End the login with that secret, if there is one; named tokens outlast it (oVirt: sso-logout)."""
    with writing():
        AccessToken.objects.filter(digest=digest(secret), name="").delete()


def known_address(address: str) -> str | None:
    """The address as the database takes it, without an interface; None for what a proxy may say in its place."""
    try:
        return str(ip_address(address.partition("%")[0]))
    except ValueError:
        return None
