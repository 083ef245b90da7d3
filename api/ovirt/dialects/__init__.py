"""How each dialect spells jobs and steps. One module each, with the same three functions."""

from typing import Protocol

from api.ovirt.dialects import design, v3, v4
from api.wire import Members
from taskmonitor.models import Job
from taskmonitor.selectors.tree import AnyStep


class Dialect(Protocol):
    """What a dialect's module has."""

    def job(self, job: Job, base: str) -> Members: ...

    def step(self, step: AnyStep, base: str) -> Members: ...

    def status(self, status: str) -> str | Members: ...


DIALECTS: dict[str, Dialect] = {"design": design, "v3": v3, "v4": v4}
