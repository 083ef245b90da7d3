"""Whether a name and a password belong together: dear to guess, cheap to ask again."""

import hmac
import logging
import threading
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db.models import Q

from taskmonitor.errors import LoginRefused, TooManyAttempts
from taskmonitor.models import SYSTEM
from taskmonitor.services.access import audit
from taskmonitor.services.transaction import writing
from taskmonitor.statements import Prepared

logger = logging.getLogger(__name__)

PROFILE = "@internal"  # oVirt's clients write admin@internal; the profile is no part of our names
REMEMBERED_FOR = timedelta(minutes=5)
WINDOW = timedelta(minutes=1)
MOST_OF_NAME = 20  # failures in a window of one name from one address; clients repeat a wrong password
MOST_OF_ADDRESS = 100  # failures in a window from one address
_MOST_KEPT = 10_000

_remembered: dict[bytes, datetime] = {}
_failures: dict[tuple[str, ...], tuple[datetime, int]] = {}
_hashing = threading.Lock()
_NAMED = Prepared(lambda name, short: User.objects.filter(Q(username=name) | Q(username=short)))


def verified(*, name: str, password: str, address: str, now: datetime) -> User:
    """The active user with that name and password; LoginRefused, or TooManyAttempts after many failures.

    A password that was right is remembered for minutes as a keyed hash bound to the stored one, so that a
    change of password, or of the user, counts at once and a check does not cost 0.2 s of CPU each time.
    Who is remembered is let in however many failures others have made under that name.
    """
    user = None if "\0" in name + password else _user(name)  # to PBKDF2, NULs at the end are none
    if user and user.is_active and _is_remembered(user, password, now):
        return user
    by_address, by_name = (address,), (address, name.removesuffix(PROFILE))
    if _count(by_address, now) >= MOST_OF_ADDRESS or _count(by_name, now) >= MOST_OF_NAME:
        raise TooManyAttempts(WINDOW)
    if _is_right(user, password, now) and user and user.is_active:
        return user
    logger.warning("Login refused name=%r address=%s", name[:150], address)
    counts = _add(by_address, now), _add(by_name, now)
    if counts[0] == MOST_OF_ADDRESS or counts[1] == MOST_OF_NAME:
        _audit_attempts(name, address, now)
    raise LoginRefused(LoginRefused.__doc__)


def _user(name: str) -> User | None:
    short = name.removesuffix(PROFILE)
    users = {user.get_username(): user for user in _NAMED.all(name, short)}
    return users.get(name) or users.get(short)


def _is_right(user: User | None, password: str, now: datetime) -> bool:
    with _hashing:  # many first requests at once cost one check, and guessing costs one core at most
        if user is None:
            make_password(password)  # takes as long as for a known name
            return False
        if _is_remembered(user, password, now):
            return True
        if not user.check_password(password):
            return False
        if user.is_active:
            _make_room(_remembered)
            _remembered[_key(user, password)] = now
        return True


def _is_remembered(user: User, password: str, now: datetime) -> bool:
    since = _remembered.get(_key(user, password))
    return since is not None and since <= now < since + REMEMBERED_FOR


def _key(user: User, password: str) -> bytes:
    return hmac.digest(
        settings.SECRET_KEY.encode(), f"{user.pk}\0{user.password}\0{password}".encode(), "sha256"
    )


def _count(key: tuple[str, ...], now: datetime) -> int:
    since, count = _failures.get(key, (now, 0))
    return count if since <= now < since + WINDOW else 0


def _add(key: tuple[str, ...], now: datetime) -> int:
    count = _count(key, now)
    since = _failures[key][0] if count else now
    _make_room(_failures)
    _failures[key] = since, count + 1
    return count + 1


def _make_room(kept: dict[Any, Any]) -> None:
    """Forget the older half of what is kept, if that has become much."""
    if len(kept) >= _MOST_KEPT:
        for key in list(kept)[: _MOST_KEPT // 2]:
            kept.pop(key, None)


def _audit_attempts(name: str, address: str, now: datetime) -> None:
    shown = "".join(sign if sign.isprintable() else "\ufffd" for sign in name[:150])
    with writing():
        audit(
            verb="locked out",
            subject=shown,
            detail=f"too many failures from {address}",
            actor=SYSTEM,
            now=now,
        )
