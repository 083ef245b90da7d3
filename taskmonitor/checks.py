"""What `manage.py check` says of an installation."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register  # noqa: A004 - as Django names it


@register()
def has_idiomorph(**_: Any) -> list[CheckMessage]:
    """Whether pages can be brought up to date in place."""
    if settings.IDIOMORPH.is_dir():
        return []
    return [
        Warning(
            "idiomorph is not installed, so what people have selected and focused on open pages is lost"
            " whenever something changes there.",
            hint="Install npm and run `make node_modules/run`.",
            id="taskmonitor.W001",
        )
    ]
