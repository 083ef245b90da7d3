"""Plain tasks of django-q2 on its ORM broker, with database connections that are kept."""

import os
from pathlib import Path
from urllib.parse import urlsplit

import django
from django.conf import settings

URL = urlsplit(os.environ.get("DATABASE_URL", ""))
POSTGRES = {
    "ENGINE": "django.db.backends.postgresql",
    "NAME": URL.path[1:],
    "USER": URL.username,
    "PASSWORD": URL.password or "",
    "HOST": URL.hostname,
    "PORT": URL.port or 5432,
}
SQLITE = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": Path(os.environ["TASKMONITOR_DATA"]) / "django_q2.sqlite3",
    "OPTIONS": {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    },
}
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django_q"],
    DATABASES={"default": {**(POSTGRES if URL.scheme else SQLITE), "CONN_MAX_AGE": None}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    SECRET_KEY="bench",
    USE_TZ=True,
    Q_CLUSTER={
        **{"name": "bench", "orm": "default", "workers": 2, "save_limit": 0, "timeout": 50},
        "log_level": "WARNING",
    },
)
django.setup()

from django.core.management import call_command  # noqa: E402 - after setup
from django_q.models import OrmQ  # noqa: E402
from django_q.tasks import async_task  # noqa: E402

from bench.queues import effects  # noqa: E402


def parent(number: int) -> None:
    effects.no_op(number)
    for _ in range(3):
        async_task(effects.no_op, number)


def prepare() -> None:
    call_command("migrate", verbosity=0)


def work() -> None:
    call_command("qcluster")


def submit(kind: str, number: int) -> None:
    async_task({"no_op": effects.no_op, "slow": effects.slow, "parent": parent}[kind], number)


def left() -> int:
    return int(OrmQ.objects.count())
