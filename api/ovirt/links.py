"""The addresses of things, as paths that begin as the caller's own did."""

from typing import Any
from uuid import UUID

from api.wire import Members

Key = UUID | str


def job_href(base: str, job_id: Key) -> str:
    return f"{base}/jobs/{job_id}"


def step_href(base: str, job_id: Key, step_id: Key) -> str:
    return f"{base}/jobs/{job_id}/steps/{step_id}"


def user_href(base: str, user_id: Any) -> str:
    return f"{base}/users/{user_id}"


def actions(href: str, *names: str) -> Members:
    """The operations beneath an address (oVirt: `<actions>`)."""
    return {"link": [link(href, name) for name in names]}


def link(href: str, rel: str) -> Members:
    """The link to what stands right beneath an address."""
    return {"href": f"{href}/{rel}", "rel": rel}


def reference(href: str, key: Any) -> Members:
    """A thing by its address and id alone."""
    return {"href": href, "id": str(key)}
