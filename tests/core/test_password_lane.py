"""Who finds a place where passwords are checked, and that checks take turns."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Event
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from taskmonitor.errors import BeingChecked, LoginRefused, TooManyAttempts
from taskmonitor.models import LoginNetwork
from taskmonitor.services import login
from taskmonitor.services.password_lane import PasswordLane
from tests.factories import NOW, PASSWORD, make_user

Take = Callable[..., bool]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def places(stack: ExitStack, lane: PasswordLane) -> Take:
    """Takes a place until the end of the test; whether there was one."""

    def take(network: str, *, known: bool = False) -> bool:
        try:
            stack.enter_context(lane.place(network, lambda: known))
        except TooManyAttempts:
            return False
        return True

    return take


def test_one_address_gets_half_of_it(stack: ExitStack) -> None:
    take = places(stack, PasswordLane(4))
    assert [take("a") for _ in range(5)] == [True, True, False, False, False]
    assert take("b")


def test_strangers_from_anywhere_leave_a_place_to_who_is_known(stack: ExitStack) -> None:
    take = places(stack, PasswordLane(4))
    assert [take(f"{n}") for n in range(100)].count(True) == 3
    assert take("home", known=True)
    assert not take("home", known=True)


def test_nor_does_who_is_known_fill_it(stack: ExitStack) -> None:
    take = places(stack, PasswordLane(4))
    assert [take("home", known=True) for _ in range(10)].count(True) == 3
    assert take("b")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_small_lane_has_a_place_for_a_stranger(stack: ExitStack, number: int) -> None:
    assert places(stack, PasswordLane(number))("a")


def test_places_are_given_back() -> None:
    lane = PasswordLane(2)
    for _ in range(10):
        with pytest.raises(LoginRefused), lane.turn("a", lambda: False):
            raise LoginRefused


def test_one_password_is_checked_at_a_time() -> None:
    lane, at_it, most = PasswordLane(8), [0], []

    def check(network: str) -> None:
        with lane.turn(network, lambda: True):
            at_it[0] += 1
            most.append(at_it[0])
            time.sleep(0.01)
            at_it[0] -= 1

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(check, "abcdefg"))
    assert most == [1] * 7


@pytest.mark.django_db(transaction=True)
def test_the_same_password_is_not_checked_beside_itself(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """Who comes with it meanwhile may wait until that is over, and needs no place."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    user = make_user("plugin")
    user.set_password(PASSWORD)
    user.save()
    begun, go_on = Event(), Event()
    check = User.check_password

    def slow(self: User, password: str) -> bool:
        begun.set()
        go_on.wait(30)
        return check(self, password)

    monkeypatch.setattr(User, "check_password", slow)

    def verify() -> User:
        try:
            return login.verified(name="plugin", password=PASSWORD, address="192.0.2.7", now=NOW)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(verify)
        assert begun.wait(30)
        for _ in range(20):
            with pytest.raises(BeingChecked) as refusal:
                verify()
        assert not refusal.value.over.done()
        go_on.set()
        refusal.value.over.result(30)
        assert verify() == first.result(30) == user
    assert LoginNetwork.objects.get().network == "192.0.2.7"
