"""People of the API's tests."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from taskmonitor.models import Role
from taskmonitor.services import login
from tests.api.caller import JSON, XML, Caller
from tests.factories import make_user


@pytest.fixture(autouse=True)
def _forget_logins() -> None:
    login._failures.clear()


@pytest.fixture
def owner(db: None) -> User:
    return make_user("plugin", Role.INJECTOR)


@pytest.fixture
def plugin(owner: User) -> Caller:
    """A plug-in that may inject, in XML and the design dialect."""
    return Caller(owner)


@pytest.fixture(params=[XML, JSON], ids=["xml", "json"])
def either(request: pytest.FixtureRequest, owner: User) -> Caller:
    """A plug-in that may inject, once in XML and once in JSON."""
    return Caller(owner, request.param)


@pytest.fixture
def calling(db: None) -> Callable[..., Caller]:
    """Makes callers: a name, roles, and what else a Caller has."""

    def make(name: str, *roles: Role, **fields: Any) -> Caller:
        return Caller(User.objects.filter(username=name).first() or make_user(name, *roles), **fields)

    return make
