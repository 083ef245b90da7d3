"""How long the next attempt to log in has to wait: failures slow attempts down, and lock nobody out.

Failures are counted for a name at an address, for a name, and for an address, in Django's cache, which
processes and hosts share. A cache that does not answer holds up no login: this process then counts alone.
"""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, NamedTuple

from django.core.cache import caches

logger = logging.getLogger(__name__)

KEPT_FOR = timedelta(hours=1)  # a count that did not change
TOLD_AGAIN_AFTER = timedelta(hours=1)
AWAY_FOR = timedelta(seconds=10)  # until a cache that failed is asked again
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Limit:
    """After `free` failures the next attempt waits 1 s, then 2, 4 and so on up to `longest`.

    One failure is forgotten each `longest`, so that who fails no more often than that is never slowed.
    """

    free: int
    longest: timedelta


OF_BOTH = Limit(10, timedelta(seconds=60))  # a name at an address; programs repeat a wrong password
OF_NAME = Limit(20, timedelta(seconds=60))  # from all addresses that are new to it
OF_ADDRESS = Limit(40, timedelta(seconds=15))  # for all names that are new there
OF_AUDIT = Limit(20, timedelta(seconds=60))  # entries about attacks, so that these cannot fill the audit


class Count(NamedTuple):
    """The failures that were not forgotten when the last one came, that one included."""

    failures: float = 0
    last: datetime = _NEVER
    told: datetime = _NEVER

    def until(self, limit: Limit) -> datetime:
        """When the next attempt may be made."""
        if not self.reaches(limit):
            return self.last
        beyond = round(self.failures) - limit.free
        return self.last + min(timedelta(seconds=2 ** min(beyond, 10)), limit.longest)

    def reaches(self, limit: Limit) -> bool:
        """Whether the next attempt has to wait at all."""
        return round(self.failures) >= limit.free

    def wait(self, limit: Limit, now: datetime) -> timedelta:
        """How long that is from now; nothing for a failure of the future, that is if the clock was set back."""
        if self.last - now > limit.longest:
            return timedelta(0)
        return max(min(self.until(limit) - now, limit.longest), timedelta(0))

    def one_more(self, limit: Limit, now: datetime) -> "Count":
        forgotten = max((now - self.last) / limit.longest, 0)
        return Count(max(self.failures - forgotten, 0) + 1, now, self.told)


@dataclass(frozen=True)
class Attempt:
    """A name and where it is tried from; `asks_if_known` looks whether that name has logged in from there before."""

    name: str
    network: str
    asks_if_known: Callable[[], bool]

    @cached_property
    def is_known(self) -> bool:
        return self.asks_if_known()

    @cached_property
    def keys(self) -> tuple[str, str, str]:
        """Of the counts of both, of the name and of the address."""
        return _key("both", self.name, self.network), _key("name", self.name), _key("address", self.network)


_LIMITS = (OF_BOTH, OF_NAME, OF_ADDRESS)


def network(address: str) -> str:
    """What counts as one address: of IPv6 a /64, which is what one household or host gets."""
    try:
        parsed: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return ""  # a local socket, or what a proxy may say in place of an address
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or IPv6Network((parsed.packed, 64), strict=False))
    return str(parsed)


def wait(attempt: Attempt, now: datetime) -> timedelta:
    """How long this attempt has to wait. Others' failures do not hold up a name where it has logged in before."""
    counts = _read(attempt.keys, now)
    both, name, address = (count.wait(limit, now) for count, limit in zip(counts, _LIMITS, strict=True))
    if max(name, address) > both and attempt.is_known:
        return both
    return max(both, name, address)


def add_failure(attempt: Attempt, now: datetime) -> bool:
    """Count a failure; whether it is to be told to admins, as the first of an hour that slows somebody down."""
    counts = [
        count.one_more(limit, now) for count, limit in zip(_read(attempt.keys, now), _LIMITS, strict=True)
    ]
    reached = [
        count.reaches(limit) and abs(now - count.told) >= TOLD_AGAIN_AFTER
        for count, limit in zip(counts, _LIMITS, strict=True)
    ]
    counts = [
        count._replace(told=now) if tell else count for count, tell in zip(counts, reached, strict=True)
    ]
    _write(dict(zip(attempt.keys, counts, strict=True)), now)
    return any(reached) and _may_be_told(now)


def forgive(attempt: Attempt, now: datetime) -> None:
    """The right password was given: failures of that name there are forgotten, others' ones are not."""
    key = attempt.keys[0]
    [count] = _read((key,), now)
    if count.failures:
        _write({key: count._replace(failures=0)}, now)


def _may_be_told(now: datetime) -> bool:
    key = _key("audit")
    [count] = _read((key,), now)
    if count.wait(OF_AUDIT, now):
        return False
    _write({key: count.one_more(OF_AUDIT, now)}, now)
    return True


def _key(*parts: str) -> str:
    """A cache key that names cannot break."""
    return "login:" + hashlib.sha256("\0".join(parts).encode()).hexdigest()


class _Shared:
    """The shared cache. After a failure nobody asks it for a while, and then one does first."""

    def __init__(self) -> None:
        self.failed: datetime | None = None

    def ask(self, what: Callable[[Any], Any], now: datetime) -> Any:
        """The answer, or None if the cache is away."""
        was_away = self.failed
        if was_away and abs(now - was_away) < AWAY_FOR:
            return None
        if was_away:
            self.failed = now
        try:
            answer = what(caches["default"])
        except Exception as error:  # noqa: BLE001 - each cache has its own, and none may keep people out
            self.failed = now
            logger.warning("Cache failed (%r): this process counts failed logins alone", error)
            return None
        if was_away:
            self.failed = None
            logger.warning("Cache is back: failed logins are counted together again")
        return answer


_shared = _Shared()


def _read(keys: tuple[str, ...], now: datetime) -> list[Count]:
    found = _shared.ask(lambda cache: cache.get_many(keys), now)
    if found is None:
        found = caches["process"].get_many(keys)
    return [found.get(key, Count()) for key in keys]


def _write(counts: dict[str, Count], now: datetime) -> None:
    seconds = int(KEPT_FOR.total_seconds())
    caches["process"].set_many(counts, seconds)
    _shared.ask(lambda cache: cache.set_many(counts, seconds), now)
