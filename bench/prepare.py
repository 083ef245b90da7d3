"""python -m bench.prepare JOBS: migrate the database of the environment, make an account, seed jobs.

Writes as JSON how to be the bench's user, one with the role External tasks creator and Task viewer.
"""

import json
import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "taskmonitor.settings")
django.setup()

from django.contrib.auth.models import Group, User  # noqa: E402 - after setup
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402
from django.utils import timezone  # noqa: E402

from bench.seed import seed  # noqa: E402
from taskmonitor.models import Actor, Role  # noqa: E402
from taskmonitor.services.access import add_token  # noqa: E402

NAME, PASSWORD = "bench", "bench bench bench"


def main(jobs: int) -> None:
    call_command("migrate", interactive=False, verbosity=0)
    user = User.objects.create_user(NAME, password=PASSWORD)
    user.groups.set(Group.objects.filter(name__in=[Role.INJECTOR, Role.VIEWER]))
    User.objects.create_superuser("admin", password="admin")  # the start makes none then
    _, secret = add_token(
        user_id=user.pk,
        name="bench",
        scope=["read", "inject", "control"],
        expires=None,
        actor=Actor(user_id=user.pk, name=NAME, rights=frozenset()),
        now=timezone.now(),
    )
    if jobs:
        seed(jobs)
    browser = Client()
    browser.force_login(user)
    session = browser.cookies["sessionid"].value
    json.dump({"name": NAME, "password": PASSWORD, "token": secret, "session": session}, sys.stdout)


main(int(sys.argv[1]))
