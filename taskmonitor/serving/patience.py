"""Responses that wait for something before they are sent, and hold no thread meanwhile."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a view sets as `waiting` on a response, which must be a right answer already.

    `until` runs on the event loop; it is given up when the server stops. Then `then` brings the response
    up to date, in a thread.
    """

    until: Callable[[], Coroutine[Any, Any, None]]
    then: Callable[[], None]
