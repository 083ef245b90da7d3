"""Which commands there are: those that were registered, by us or by plug-in packages."""

import logging
from collections.abc import Callable
from datetime import timedelta
from importlib.metadata import entry_points
from threading import RLock
from typing import Any, TypeVar

from coordinator.callbacks import Callback, ChildrenCallback, PollingCallback, SerialChildrenCallback
from coordinator.command import Command
from taskmonitor.errors import NotFound

logger = logging.getLogger(__name__)

GROUP = "taskmonitor.commands"  # the entry points of plug-in packages: modules that register their commands
C = TypeVar("C", bound=type[Command[Any, Any]])
_commands: dict[str, type[Command[Any, Any]]] = {}
_loading = RLock()
_loaded = False


def register(name: str | None = None, **attributes: Any) -> Callable[[C], C]:
    """Make a command known under `name`, its class's own if not given; `attributes` are set on the class.

    The name is what is stored of it, so it must stay the same from release to release. Without a callback
    of its own it gets one that polls if it has `poll` or `on_event`, else one whose methods do nothing.
    """

    def decorator(command: C) -> C:
        command.name = name or command.__name__
        for attribute, value in attributes.items():
            if not hasattr(Command, attribute):
                raise TypeError(f"A command has no {attribute}.")
            setattr(command, attribute, value)
        _check(command)
        command.handler = command.callback or _fitting(command)
        known = _commands.get(command.name)
        if known is not None and (known.__module__, known.__qualname__) != (
            command.__module__,
            command.__qualname__,
        ):
            raise ValueError(f"There are two commands named {command.name}: {known} and {command}.")
        _commands[command.name] = command
        return command

    return decorator


def get(name: str) -> type[Command[Any, Any]]:
    """The command of that name; NotFound if there is none."""
    _load()
    try:
        return _commands[name]
    except KeyError:
        raise NotFound("Command", name) from None


def commands() -> list[type[Command[Any, Any]]]:
    """All commands, by name."""
    _load()
    return [_commands[name] for name in sorted(_commands)]


def _load() -> None:
    """Import what registers commands, once; a plug-in package that cannot be imported stops nobody else."""
    global _loaded
    with _loading:
        if _loaded:
            return
        _loaded = True
        from coordinator.commands import configured  # noqa: F401 - it registers, so it needs this module

        for point in entry_points(group=GROUP):
            try:
                point.load()
            except Exception:
                logger.exception("The commands of %s cannot be loaded", point.value)


def _check(command: type[Command[Any, Any]]) -> None:
    """TypeError or ValueError if the class says what no worker could go by."""
    for name in ("time_limit", "lifetime"):
        value = getattr(command, name)
        if isinstance(value, property):
            continue
        if not isinstance(value, timedelta):
            raise TypeError(f"{command.__name__}.{name} must be a timedelta, not {value!r}.")
        if value <= timedelta(0):
            raise ValueError(f"{command.__name__}.{name} must be longer than {value}.")
    for name in ("longest_poll", "most_attempts", "end_attempts"):
        value = getattr(command, name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{command.__name__}.{name} must be a whole number, not {value!r}.")
        if value < 1:
            raise ValueError(f"{command.__name__}.{name} must be 1 or more, not {value}.")


def _fitting(command: type[Command[Any, Any]]) -> type[Callback]:
    def writes(method: str) -> bool:
        return getattr(command, method) is not getattr(Command, method)

    if writes("perform_next_operation"):
        return SerialChildrenCallback
    if writes("poll") or writes("on_event"):
        return PollingCallback
    return ChildrenCallback if writes("end_successfully") or writes("end_with_failure") else Callback
