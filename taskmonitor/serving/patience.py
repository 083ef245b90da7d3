"""Responses that wait for something before they are sent, and hold no thread meanwhile."""

from asyncio import wrap_future
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.http import HttpResponse

from taskmonitor.errors import BeingChecked


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a view sets as `waiting` on a response, which must be a right answer already.

    `until` runs on the event loop; it is given up when the server stops. Then `then` brings the response
    up to date, in a thread. Without it the request is answered anew, once.
    """

    until: Callable[[], Coroutine[Any, Any, None]]
    then: Callable[[], None] | None


def postpone(response: HttpResponse, problem: Exception) -> None:
    """Let a refusal wait, if it was one because the same password is being checked, and be answered anew then."""
    if isinstance(problem, BeingChecked):
        response.waiting = Waiting(partial(_over, problem.over), then=None)  # type: ignore[attr-defined]


async def _over(check: Future[None]) -> None:
    await wrap_future(check)
