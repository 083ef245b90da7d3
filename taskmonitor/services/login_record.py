"""Logins, good and bad, and logouts: a line in the log each, and an entry in the audit as long as these are few."""

import logging
from datetime import datetime, timedelta

from django.contrib.auth.models import User

from taskmonitor.models import SYSTEM, Actor, AuditEntry
from taskmonitor.services.access import audit
from taskmonitor.services.text import printable
from taskmonitor.services.transaction import writing

logger = logging.getLogger(__name__)

WINDOW = timedelta(hours=1)
MOST_REFUSED = 60  # entries of a window, whatever strangers try
VERBS = IN, OUT, REFUSED = "logged in", "logged out", "login refused"
_MOST_KEPT = 10_000

_noted: dict[
    tuple[int, str, str], datetime
] = {}  # when the password was last noted, by user, hash and address


def note_login(user: User, address: str, now: datetime) -> None:
    """Somebody logged in to the pages."""
    _log_login(user, address, "page")
    _audit(IN, user, f"to the pages, from {_shown(address)}", now)


def note_logout(user: User, address: str, now: datetime) -> None:
    """Somebody logged out of the pages."""
    logger.info("Logged out user=%s address=%s", printable(user.get_username()), _shown(address))
    _audit(OUT, user, f"of the pages, from {_shown(address)}", now)


def note_client_login(user: User, address: str, now: datetime) -> None:
    """A client fetched a token for a password; the audit has the first of a window."""
    _log_login(user, address, "token")
    _audit_program(user, address, now)


def note_password_use(user: User, address: str, now: datetime) -> None:
    """A program sent a right password with its request, as it may do often; the first of a window is noted."""
    key = user.pk, user.password, address
    since = _noted.get(key)
    if since is not None and since <= now < since + WINDOW:
        return
    if len(_noted) >= _MOST_KEPT:
        _noted.clear()
    _noted[key] = now
    _log_login(user, address, "request")
    _audit_program(user, address, now)


def note_refusal(name: str, address: str, now: datetime) -> None:
    """The name or the password was wrong. The audit has each name once from each address, and only so many."""
    logger.warning("Login refused name=%r address=%s", name[:150], _shown(address))
    shown, detail = printable(name[:150]), f"from {_shown(address)}"
    with writing():
        recent = AuditEntry.objects.filter(verb=REFUSED, time__gt=now - WINDOW)
        known = list(recent.values_list("subject", "detail")[:MOST_REFUSED])
        if len(known) < MOST_REFUSED and (shown, detail) not in known:
            audit(verb=REFUSED, subject=shown, detail=detail, actor=SYSTEM, now=now)


def _log_login(user: User, address: str, by: str) -> None:
    logger.info("Logged in user=%s address=%s by=%s", printable(user.get_username()), _shown(address), by)


def _audit_program(user: User, address: str, now: datetime) -> None:
    detail = f"to the API, from {_shown(address)}"
    recent = AuditEntry.objects.filter(verb=IN, time__gt=now - WINDOW)
    if not recent.filter(subject=user.get_username(), detail=detail).exists():
        _audit(IN, user, detail, now)


def _audit(verb: str, user: User, detail: str, now: datetime) -> None:
    name = user.get_username()
    actor = Actor(user_id=user.pk, name=name, rights=frozenset())
    with writing():
        audit(verb=verb, subject=name, detail=detail, actor=actor, now=now)


def _shown(address: str) -> str:
    return printable(address[:45]) or "this host"
