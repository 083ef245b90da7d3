"""Task Monitor's settings without middleware, and with the floor's views alone."""

from taskmonitor.settings import *  # noqa: F403 - all of them but these

MIDDLEWARE: list[str] = []
ROOT_URLCONF = "bench.floors.django_views"
LOGGING = {"version": 1}
