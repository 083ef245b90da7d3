"""People of the API's tests."""

import os
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from hypothesis import HealthCheck, settings

from taskmonitor.models import Role
from tests.api.caller import JSON, XML, Caller
from tests.factories import make_user

settings.register_profile(
    "api",
    max_examples=int(os.environ.get("EXAMPLES", "200")),  # EXAMPLES=1000000 for a night of fuzzing
    derandomize="EXAMPLES" not in os.environ,  # otherwise the same ones each time
    deadline=None,  # other tests share the machine
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("api")


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
