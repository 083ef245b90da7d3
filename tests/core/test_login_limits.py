"""How long an attempt to log in has to wait, by a clock of the test's own."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from taskmonitor.errors import LoginRefused, TooManyAttempts
from taskmonitor.models import AuditEntry, LoginNetwork
from taskmonitor.services import login, login_limits
from taskmonitor.services.login_limits import OF_BOTH, Count
from tests.factories import NOW, PASSWORD, make_user

HOME, ELSEWHERE = "192.0.2.7", "198.51.100.9"


@pytest.fixture(autouse=True)
def _cheap(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def _nobody_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "_remembered", {})


@pytest.fixture
def user(db: None) -> User:
    user = make_user("plugin")
    user.set_password(PASSWORD)
    user.save()
    return user


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def attempt(name: str, password: str, address: str, now: datetime = NOW) -> int:
    """0 if it was let in, -1 if it was wrong, else the seconds to wait."""
    login._remembered.clear()
    try:
        login.verified(name=name, password=password, address=address, now=now)
    except LoginRefused:
        return -1
    except TooManyAttempts as refusal:
        return refusal.wait
    return 0


def attack(name: str, addresses: list[str], times: int, now: datetime = NOW) -> list[int]:
    return [attempt(name, "wrong", addresses[n % len(addresses)], now) for n in range(times)]


MANY = [f"203.0.113.{n}" for n in range(250)]


def test_the_wait_grows_up_to_its_bound() -> None:
    now, count, waits = NOW, Count(), []
    for _ in range(25):
        count = count.one_more(OF_BOTH, now)
        waits.append(count.wait(OF_BOTH, now).total_seconds())
        now += timedelta(seconds=waits[-1])
    assert waits[:10] == [0] * 9 + [1]
    assert waits[9:] == sorted(waits[9:])
    assert waits[9:14] == [1, 2, 4, 8, 16]
    assert waits[-5:] == [60] * 5


def test_failures_are_forgotten_one_by_one() -> None:
    count = Count(12, NOW)
    assert count.one_more(OF_BOTH, after(120)).failures == 11
    assert count.one_more(OF_BOTH, after(3600)).failures == 1


def test_who_fails_once_a_minute_is_never_slowed() -> None:
    count = Count()
    for minute in range(1000):
        count = count.one_more(OF_BOTH, after(60 * minute))
        assert not count.wait(OF_BOTH, after(60 * minute))


@pytest.mark.parametrize("seconds", [-86400, -3600, -61])
def test_a_clock_that_was_set_back_keeps_nobody_out(seconds: int) -> None:
    assert not Count(1000, NOW).wait(OF_BOTH, after(seconds))


def test_a_host_whose_clock_is_behind_waits_too() -> None:
    assert Count(1000, NOW).wait(OF_BOTH, after(-2)) == timedelta(seconds=60)


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unknown", ""),
        ("192.0.2.7, 198.51.100.1\0", ""),
    ],
)
def test_what_counts_as_one_address(address: str, counted_as: str) -> None:
    assert login_limits.network(address) == counted_as


def test_after_the_wait_the_right_password_is_let_in(user: User) -> None:
    attack("plugin", [HOME], 10)
    assert [attempt("plugin", PASSWORD, HOME, after(seconds)) for seconds in (0, 0.9, 1)] == [1, 1, 0]
    attack("plugin", [HOME], 9, after(1))
    assert attempt("plugin", PASSWORD, HOME, after(1)) == 0, "a success forgives the failures before it"


def test_what_was_refused_unseen_makes_the_wait_no_longer(user: User) -> None:
    attack("plugin", [HOME], 500)
    assert attempt("plugin", PASSWORD, HOME, after(1)) == 0


def test_an_attack_on_a_name_from_many_addresses_is_slowed(user: User) -> None:
    """It was not: 252 guesses from as many addresses were all looked at."""
    for name in ("plugin", "nobody"):
        assert attack(name, MANY, 250).count(-1) == 20
    hour = [attack("plugin", MANY[n % 200 :], 1, after(10 * n))[0] for n in range(1, 360)]
    assert hour.count(-1) <= 70
    assert max(hour) <= 60


def test_its_user_is_let_in_meanwhile_from_where_they_have_been_before(user: User) -> None:
    assert attempt("plugin", PASSWORD, HOME) == 0
    attack("plugin", MANY, 250)
    assert attempt("plugin", PASSWORD, HOME) == 0
    assert attempt("plugin", PASSWORD, ELSEWHERE) == 1
    assert attempt("plugin", PASSWORD, HOME, NOW + login.KNOWN_FOR) == 0


def test_who_guesses_from_there_is_slowed_too(user: User) -> None:
    attempt("plugin", PASSWORD, HOME)
    assert attack("plugin", [HOME], 100).count(-1) == 10


def test_an_attack_from_an_address_slows_down_its_neighbours_only_so_long(user: User) -> None:
    """It had locked them out for a minute, again and again."""
    names = [f"name-{n}" for n in range(100)]
    assert [attempt(name, "wrong", HOME) for name in names].count(-1) == 40
    assert attempt("plugin", PASSWORD, HOME) == 1
    assert attempt("plugin", PASSWORD, HOME, after(1)) == 0
    now = NOW
    for n in range(300):  # it goes on for as long as it likes
        now += timedelta(seconds=max(attempt(f"other-{n}", "wrong", HOME, now), 0))
    assert 1 <= max(attempt("newcomer", PASSWORD, HOME, now), 1) <= 15
    assert attempt("plugin", PASSWORD, HOME, now) == 0, "it has logged in from there"


def test_a_login_of_ones_own_gives_no_more_guesses(user: User) -> None:
    tried = []
    for n in range(60):
        tried.append(attempt(f"name-{n}", "wrong", HOME))
        attempt("plugin", PASSWORD, HOME)
    assert tried.count(-1) == 40


def test_a_program_with_a_wrong_password_slows_nobody_else_down(user: User) -> None:
    for second in range(7200):
        attempt("forgotten", "wrong", HOME, after(second))
    assert attempt("plugin", PASSWORD, HOME, after(7200)) == 0


def test_addresses_that_were_logged_in_from_are_bounded(user: User) -> None:
    for n in range(login.MOST_NETWORKS + 5):
        attempt("plugin", PASSWORD, MANY[n], after(n))
    known = set(LoginNetwork.objects.values_list("network", flat=True))
    assert known == set(MANY[5 : login.MOST_NETWORKS + 5])
    attempt("plugin", PASSWORD, HOME, NOW + 2 * login.KNOWN_FOR)
    assert [one.network for one in LoginNetwork.objects.all()] == [HOME]


def test_keys_of_the_cache_say_no_names(user: User) -> None:
    attempt("plugin user\n\x7f" + "x" * 1000, "wrong", HOME)
    keys = login_limits.Attempt("plugin user\n\x7f", HOME, bool).keys
    assert all(key.isascii() and key.replace(":", "").isalnum() and len(key) < 100 for key in keys)


def test_the_audit_has_each_attack_once_an_hour_and_few_of_them_all(user: User) -> None:
    told = AuditEntry.objects.filter(verb="slowed down")
    for minute in range(0, 50, 5):
        attack("plugin", [HOME], 15, after(60 * minute))
    assert told.count() == 1
    attack("plugin", [HOME], 15, after(3601))
    assert told.count() == 2
    for n in range(200):
        attack(f"name-{n}", [f"198.51.100.{n}"], 11, after(7200))
    assert 2 < told.count() <= 2 + 20


def test_without_the_shared_cache_this_process_counts_alone(
    user: User, settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def told() -> list[str]:
        return [line for line in caplog.messages if line.startswith("Cache")]

    monkeypatch.setattr(login_limits._shared, "failed", None)
    present = settings.CACHES
    attack("plugin", [HOME], 5)
    redis = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:9"}
    settings.CACHES = {**present, "default": redis}
    assert attack("plugin", [HOME], 20, after(1)).count(-1) == 5
    assert attempt("plugin", PASSWORD, HOME, after(2)) == 0
    assert len(told()) == 1, "it is not asked each time"
    assert "ConnectionError" in told()[0]
    assert attempt("plugin", "wrong", HOME, after(12)) == -1
    assert len(told()) == 2
    settings.CACHES = present
    attempt("plugin", "wrong", HOME, after(30))
    assert "back" in told()[2]
    assert login_limits._shared.failed is None
