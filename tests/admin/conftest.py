"""Who opens the admin."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from taskmonitor.models import Right, Role
from tests.factories import make_role, make_user


@pytest.fixture
def admin(db: None) -> Client:
    for role in Role:
        make_role(role)
    return _logged_in(make_user("root", is_staff=True, is_superuser=True))


@pytest.fixture
def clerk(db: None) -> Callable[..., Client]:
    """Makes one of the staff who is no superuser, with the permissions named."""

    def make(*codenames: str) -> Client:
        user = make_user("clerk", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        return _logged_in(user)

    return make


@pytest.fixture
def plugin(db: None) -> User:
    """One who has no role yet."""
    return make_user("backup")


def _logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


ALL_OF_AN_ADMIN = ("view_user", "change_user", Right.INJECT)
