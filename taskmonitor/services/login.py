"""Whether a name and a password belong together: dear to guess, cheap to ask again."""

import hmac
import logging
import re
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from operator import itemgetter

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db.models import Q

from taskmonitor.errors import BeingChecked, LoginRefused, TooManyAttempts
from taskmonitor.metrics import LOGINS_REFUSED
from taskmonitor.models import SYSTEM, LoginNetwork
from taskmonitor.services import login_limits
from taskmonitor.services.access import audit
from taskmonitor.services.login_limits import Attempt, network
from taskmonitor.services.login_record import note_refusal
from taskmonitor.services.password_lane import lane
from taskmonitor.services.text import printable
from taskmonitor.services.transaction import note, writing
from taskmonitor.statements import Prepared

logger = logging.getLogger(__name__)

PROFILE = "@internal"  # of all users, as oVirt's clients see them
_PROFILES = re.compile(r"@internal[a-z-]*\Z")
REMEMBERED_FOR = timedelta(minutes=5)  # a right password, since its last use
KNOWN_FOR = timedelta(days=90)  # an address, since the last login from there
NOTED_AFTER = timedelta(days=1)  # how far that may lag
MOST_NETWORKS = 20  # of one user
_MOST_KEPT = 10_000

_remembered: dict[bytes, datetime] = {}
_running: dict[bytes, Future[None]] = {}  # checks of passwords
_NAMED = Prepared(
    lambda name, user, short: User.objects.filter(
        Q(username=name) | Q(username=user) | Q(username=short)
    ).select_related("temporary_password")
)
_KNOWN = Prepared(
    lambda user, network, since: LoginNetwork.objects.filter(
        user_id=user, network=network, last_login__gt=since
    )
)


def verified(*, name: str, password: str, address: str, now: datetime) -> User:
    """The active user with that name and password; LoginRefused, or TooManyAttempts if it was not looked at.

    A password that was right is remembered for minutes as a keyed hash bound to the stored one, so that a
    change of password, or of the user, counts at once and a check does not cost 0.4 s of CPU each time.
    Who is remembered is let in however many failures others have made under that name.
    """
    user = None if "\0" in name + password else _user(name)  # to PBKDF2, NULs at the end are none
    return _admitted(user, name=name, password=password, address=address, now=now)


def confirm_password(*, user: User, password: str, address: str, now: datetime) -> None:
    """See that this is the password of somebody who is logged in; the limits and errors are those of `verified`."""
    known = None if "\0" in password else user
    _admitted(known, name=user.get_username(), password=password, address=address, now=now)


def _admitted(user: User | None, *, name: str, password: str, address: str, now: datetime) -> User:
    if user and user.is_active and _is_remembered(user, password, now):
        return user
    here = network(address)
    attempt = Attempt(_meant(name)[-1], here, partial(_has_logged_in, user, here, now))
    _mind_limits(attempt, now)
    with _first_of_its_kind(_key(user, name, password)), lane.turn(here, lambda: attempt.is_known):
        _mind_limits(attempt, now)  # others may have failed while this one waited for its turn
        if _is_right(user, name, password, now) and user and user.is_active:
            right = user
        else:
            right, is_attack = None, login_limits.add_failure(attempt, now)
    if right:
        login_limits.forgive(attempt, now)
        _note_network(right, here, now)
        return right
    LOGINS_REFUSED.labels("wrong").inc()
    note_refusal(name, address, now)
    if is_attack:
        _audit_attempts(name, address, now)
    raise LoginRefused(LoginRefused.__doc__)


def _meant(name: str) -> tuple[str, str, str]:
    """Whom oVirt's clients may mean, as it is most likely: admin@ovirt@internalsso, admin@ovirt, or admin."""
    user = _PROFILES.sub("", name)
    return name, user, user.removesuffix("@ovirt")


def _user(name: str) -> User | None:
    names = _meant(name)
    users = {user.get_username(): user for user in _NAMED.all(*names)}
    return next((users[one] for one in names if one in users), None)


def _mind_limits(attempt: Attempt, now: datetime) -> None:
    wait = login_limits.wait(attempt, now)
    if wait:
        LOGINS_REFUSED.labels("too_many").inc()
        raise TooManyAttempts(wait)


@contextmanager
def _first_of_its_kind(key: bytes) -> Iterator[None]:
    """Let one check a name and a password; BeingChecked for others who come with the same before it has ended.

    Programs begin with many requests at once, and these need neither places in the lane nor threads to wait.
    """
    over: Future[None] = Future()
    over.set_running_or_notify_cancel()  # who waits for it cannot cancel it
    first = _running.setdefault(key, over)
    if first is not over:
        raise BeingChecked(first)
    try:
        yield
    finally:
        del _running[key]
        over.set_result(None)


def _is_right(user: User | None, name: str, password: str, now: datetime) -> bool:
    if user is None:
        make_password(password)  # takes as long as for a known name
        return False
    if _is_remembered(user, password, now):
        return True
    if not user.check_password(password):
        return False
    if user.is_active:
        _make_room()
        _remembered[_key(user, name, password)] = now
    return True


def _is_remembered(user: User, password: str, now: datetime) -> bool:
    key = _key(user, "", password)
    used = _remembered.get(key)
    if (
        used is None or abs(now - used) >= REMEMBERED_FOR
    ):  # requests are not looked at in the order of their `now`
        return False
    _remembered[key] = now
    return True


def _key(user: User | None, name: str, password: str) -> bytes:
    who = f"{user.pk}\0{user.password}" if user else name
    return hmac.digest(settings.SECRET_KEY.encode(), f"{who}\0{password}".encode(), "sha256")


def _make_room() -> None:
    """Forget the half that was not used for longest, if many are remembered."""
    if len(_remembered) >= _MOST_KEPT:
        by_use = sorted(_remembered.items(), key=itemgetter(1))
        for key, _ in by_use[: _MOST_KEPT // 2]:
            _remembered.pop(key, None)


def _has_logged_in(user: User | None, here: str, now: datetime) -> bool:
    pk = user.pk if user else 0  # it takes as long for a name that does not exist
    return bool(_KNOWN.all(pk, here, now - KNOWN_FOR))


def _note_network(user: User, here: str, now: datetime) -> None:
    """Keep where the user has logged in from; what is left out of it is no reason to keep them out."""
    mine = LoginNetwork.objects.filter(user=user)
    if mine.filter(network=here, last_login__gt=now - NOTED_AFTER).exists():
        return

    def keep() -> None:
        mine.update_or_create(user=user, network=here, defaults={"last_login": now})
        extra = list(mine.order_by("-last_login").values_list("pk", flat=True)[MOST_NETWORKS:])
        LoginNetwork.objects.filter(Q(pk__in=extra) | Q(last_login__lt=now - KNOWN_FOR)).delete()

    note(keep)


def _audit_attempts(name: str, address: str, now: datetime) -> None:
    shown = printable(name[:150])
    with writing():
        audit(
            verb="slowed down",
            subject=shown,
            detail=f"too many failures, the last one from {address}",
            actor=SYSTEM,
            now=now,
        )
