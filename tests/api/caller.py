"""A client of the API in tests: one user, one format, one address."""

import json
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element

from defusedxml import ElementTree
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from api.xml import element
from taskmonitor.models import AccessToken
from taskmonitor.services.access import add_token
from tests.factories import make_actor

XML, JSON = "application/xml", "application/json"


@dataclass
class Caller:
    """Asks with a bearer token of `user`, in the format and at the prefix given."""

    user: User
    format: str = XML
    base: str = "/api"
    scope: tuple[str, ...] = tuple(AccessToken.SCOPES)
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        now = timezone.now()
        _, secret = add_token(
            user_id=self.user.pk,
            name=f"{now.timestamp()} {self.base} {self.format}",
            scope=self.scope,
            expires=None,
            actor=make_actor(self.user),
            now=now,
        )
        self.client = Client(headers={"Authorization": f"Bearer {secret}", "Accept": self.format})

    def get(self, path: str = "", **headers: str) -> HttpResponse:
        return self.send("GET", path, **headers)

    def post(self, path: str, root: str = "", members: Any = None, **headers: str) -> HttpResponse:
        """POST the members under that root; without root an empty body."""
        text = self.written(root, members or {}) if root else ""
        return self.send("POST", path, text, **headers)

    def send(self, method: str, path: str, text: str | bytes = "", **headers: str) -> HttpResponse:
        """One request; underscores in the names of headers stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in {**self.headers, **headers}.items()}
        kind = named.pop("Content-Type", self.format)
        address = path if path.startswith("/") else f"{self.base}/{path}".rstrip("/")
        return self.client.generic(method, address, text, kind, headers=named)

    def written(self, root: str, members: Any) -> str:
        if self.format == JSON:
            return json.dumps(_without_signs(members))
        return element(root, members)


def read(response: HttpResponse) -> Any:
    """The members of an answer, every scalar as text, whichever format it has."""
    if response["Content-Type"].startswith(JSON):
        return _texts(json.loads(body(response)))
    return _members(ElementTree.fromstring(body(response))) or {}


def fault(response: HttpResponse) -> tuple[int, str, str]:
    """Status, reason and detail of an answer that must be a fault, in a format that the API speaks."""
    assert response["Content-Type"].split(";")[0] in (XML, JSON), response["Content-Type"]
    if response["Content-Type"].startswith(XML):
        assert body(response).startswith(b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?><fault>'), (
            body(response)
        )
    told = read(response)
    assert set(told) == {"reason", "detail"}, told
    assert told["reason"]
    assert told["detail"]
    return response.status_code, told["reason"], told["detail"]


def body(response: HttpResponse) -> bytes:
    """The answer's body, streamed or not; it can be asked for once."""
    return b"".join(response.streaming_content) if response.streaming else response.content  # type: ignore[attr-defined]


def _members(node: Element) -> Any:
    members: dict[str, Any] = dict(node.attrib)
    for child in node:
        value = _members(child)
        if child.tag not in members:
            members[child.tag] = value
        elif isinstance(members[child.tag], list):
            members[child.tag].append(value)
        else:
            members[child.tag] = [members[child.tag], value]
    if members and node.text:
        members["name"] = node.text
    return members or node.text or ""


def _texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _texts(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_texts(one) for one in value]
    return str(value).lower() if isinstance(value, bool) else str(value)


def _without_signs(value: Any) -> Any:
    if isinstance(value, dict):
        return {name.lstrip("@"): _without_signs(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_without_signs(one) for one in value]
    return value
