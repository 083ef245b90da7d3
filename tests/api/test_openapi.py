"""The OpenAPI document says what the addresses are, and what really goes over the wire."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
from defusedxml.ElementTree import fromstring
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.validation import validate_schema
from jsonschema import Draft4Validator, FormatChecker

import tests.coordinator.commands  # noqa: F401 - registers them
from api.schema import document
from coordinator.models import CommandEntity
from coordinator.testing import Worker
from taskmonitor.models import Role
from tests.factories import make_job, make_step, make_user
from tests.live import ROOT

Schema = dict[str, Any]
PREFIXES = ["/api", "/api/v3", "/api/v4", "/ovirt-engine/api", "/ovirt-engine/api/v3", "/ovirt-engine/api/v4"]
FORMATS = {"application/xml", "application/json"}


@pytest.fixture(scope="module")
def described() -> Schema:
    return json.loads(document())


def routes(patterns: Any, prefix: str = "/") -> Iterator[tuple[str, str]]:
    """Each address under /api in the table of addresses, as OpenAPI writes it, with each of its methods."""
    for one in patterns:
        place = prefix + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from routes(one.url_patterns, place)
        elif isinstance(one, URLPattern) and place.startswith("/api"):
            plain = place.replace("<uuid:", "{").replace("<int:", "{").replace(">", "}")
            for method in set(one.callback.view_class().allowed_methods) - {"HEAD", "OPTIONS"}:
                yield plain, method.lower()


def expected(operation: Schema) -> str:
    """The status of an answer to a right request."""
    return next(status for status in ("201", "202", "200") if status in operation["responses"])


def operations(described: Schema) -> Iterator[tuple[str, str, Schema]]:
    for place, item in described["paths"].items():
        for method, operation in item.items():
            yield place, method, operation


@pytest.mark.mission("S42")
def test_it_has_every_route_and_method_and_nothing_else(described: Schema) -> None:
    told = sorted((place, method) for place, method, _ in operations(described))
    assert told == sorted(set(routes(get_resolver().url_patterns)))
    assert ("/api/jobs/{job_id}/steps/{step_id}/end", "post") in told


@pytest.mark.mission("S42")
def test_it_is_valid_and_made_without_a_warning(described: Schema) -> None:
    validate_schema(described)
    assert not GENERATOR_STATS


def test_its_version_is_that_of_the_project(described: Schema) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert described["info"]["version"] == project["version"]


@pytest.mark.mission("S42", "S73")
def test_each_operation_says_what_goes_in_and_what_comes_out(described: Schema) -> None:
    identifiers = set()
    for place, method, operation in operations(described):
        identifiers.add(operation["operationId"])
        assert operation["summary"], place
        named = {(one["in"], one["name"]) for one in operation["parameters"]}
        assert {name for kind, name in named if kind == "path"} == {
            part[1:-1] for part in place.split("/") if part.startswith("{")
        }
        assert ("header", "Correlation-Id") in named
        assert (("header", "Idempotency-Key") in named) == (method == "post")
        if place == "/api/openapi.json":
            assert operation["security"] == [{}]
            continue
        assert operation["security"] == [{one: []} for one in ("token", "password", "persistent", "session")]
        assert {"400", "401", "503"} <= set(operation["responses"])
        assert ("requestBody" in operation) == (method == "post")
        if not place.endswith("/batch"):
            answer = operation["responses"][expected(operation)]
            assert set(answer["content"]) == FORMATS
            assert set(operation.get("requestBody", {"content": FORMATS})["content"]) == FORMATS
    assert len(identifiers) == len(list(operations(described)))


@pytest.mark.mission("S42")
def test_parameters_that_do_something_are_described(described: Schema) -> None:
    listed = {(one["in"], one["name"]) for one in described["paths"]["/api/jobs"]["get"]["parameters"]}
    assert listed == {
        ("query", "max"), ("query", "after"), ("query", "search"), ("query", "follow"), ("query", "filter"),
        ("query", "accept"), ("header", "Filter"), ("header", "Version"), ("header", "Correlation-Id"),
    }  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize("prefix", PREFIXES)
def test_it_is_served_to_everybody_and_made_once(client: Client, prefix: str) -> None:
    answer = client.get(f"{prefix}/openapi.json", headers={"Accept": "application/xml"})
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    assert answer.content == document()
    assert document() is document()


@pytest.mark.django_db
def test_it_is_read_only(client: Client) -> None:
    answer = client.post(
        "/api/openapi.json", "{}", "application/json", headers={"Accept": "application/json"}
    )
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")
    assert answer.json()["reason"] == "Method not allowed"


def test_what_makes_it_is_loaded_only_when_it_is_asked_for() -> None:
    """So that it costs a start no time, and a site without curious clients no memory."""
    code = (
        "import sys, taskmonitor.asgi\n"
        "from django.urls import get_resolver\n"
        "get_resolver().url_patterns\n"
        "print([name for name in sys.modules if name.startswith(('drf_spectacular', 'api.schema', 'jsonschema'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


class Wire:
    """A client that holds all it sends and gets against the document, in one of the formats."""

    def __init__(self, client: Client, described: Schema, kind: str) -> None:
        self.client, self.described, self.kind = client, closed(described), kind
        self.seen: set[tuple[str, str]] = set()

    def __call__(self, method: str, place: str, body: Any = None, **parts: object) -> Any:
        operation = self.described["paths"][place][method]
        self.seen.add((place, method))
        sent: dict[str, Any] = {}
        if body is not None:
            shape = operation["requestBody"]["content"][self.kind]["schema"]
            self.check(body, shape)
            sent = {"data": self.written(body, shape), "content_type": self.kind}
        target = place.format(**parts)
        answer = getattr(self.client, method)(target, **sent, headers={"Accept": self.kind})
        assert str(answer.status_code) == expected(operation), answer.getvalue()
        assert answer["Content-Type"].partition(";")[0] == self.kind
        shape = operation["responses"][expected(operation)]["content"][self.kind]["schema"]
        told = self.read(answer.getvalue(), shape)
        self.check(told, shape)
        return told

    def check(self, value: Any, shape: Schema) -> None:
        Draft4Validator(
            {**shape, "components": self.described["components"]}, format_checker=FormatChecker()
        ).validate(value)

    def resolved(self, shape: Schema) -> Schema:
        for name in ("allOf", "oneOf"):
            if name in shape:
                return self.resolved(shape[name][0])
        if "$ref" in shape:
            return self.resolved(self.described["components"]["schemas"][shape["$ref"].rpartition("/")[2]])
        return shape

    def written(self, body: Any, shape: Schema) -> str:
        if self.kind == "application/json":
            return json.dumps(body)
        return ElementTree.tostring(self.element(self.resolved(shape)["xml"]["name"], body, shape), "unicode")

    def element(self, name: str, value: Any, shape: Schema) -> ElementTree.Element:
        """The value as an XML element, by the hints of its shape."""
        made, shape = ElementTree.Element(name), self.resolved(shape)
        if not isinstance(value, dict):
            made.text = str(value).lower() if isinstance(value, bool) else str(value)
            return made
        for key, member in value.items():
            inner = self.resolved(shape.get("properties", {}).get(key, {}))
            if inner.get("xml", {}).get("attribute"):
                made.set(key, member)
            else:
                many = member if isinstance(member, list) else [member]
                made.extend([self.element(key, one, inner.get("items", inner)) for one in many])
        return made

    def read(self, content: bytes, shape: Schema) -> Any:
        if self.kind == "application/json":
            return json.loads(content)
        root = fromstring(content)
        assert root.tag == self.resolved(shape)["xml"]["name"]
        return self.value(root, shape)

    def value(self, element: ElementTree.Element, shape: Schema) -> Any:
        """What JSON would have said in place of the XML element, by the hints of its shape."""
        shape = self.resolved(shape)
        if shape["type"] != "object":
            return typed(element.text or "", shape)
        if "properties" not in shape:
            return {child.tag: child.text for child in element}  # parameters of a command, and the like
        found: dict[str, Any] = {}
        for name, text in element.attrib.items():
            inner = self.resolved(shape["properties"][name])
            assert inner["xml"] == {"attribute": True}, name
            found[name] = typed(text, inner)
        for name, inner in shape["properties"].items():
            inner = self.resolved(inner)
            children = element.findall(name)
            if inner["type"] == "array":
                if children or name in shape.get("required", ()):
                    found[name] = [self.value(child, inner["items"]) for child in children]
            elif children:
                [child] = children
                found[name] = self.value(child, inner)
        assert {child.tag for child in element} <= set(shape["properties"])
        if element.text:
            found["name"] = element.text  # of an owner
        return found


def typed(text: str, shape: Schema) -> Any:
    if shape["type"] == "boolean":
        return {"true": True, "false": False}[text]
    return int(text) if shape["type"] == "integer" else text


def closed(schema: Any) -> Any:
    """The schema with no object having members that it does not name."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: closed(one) for name, one in schema.items()}
    return {**inner, "additionalProperties": False} if inner.get("properties") else inner


@pytest.mark.mission("S40", "S42", "S43", "S54", "S73")
@pytest.mark.django_db
@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_what_goes_over_the_wire_has_the_shapes_described(
    client: Client, described: Schema, kind: str
) -> None:
    user = make_user("plugin", Role.INJECTOR, Role.OPERATOR, email="plugin@example.org", last_name="Plug-in")
    client.force_login(user)
    wire = Wire(client, described, kind)
    job = wire(
        "post",
        "/api/jobs",
        {
            "description": "Clone <web-01> & friends",
            "auto_cleared": True,
            "entities": {
                "entity": [{"type": "vm", "id": "1", "name": "web-01"}, {"type": "disk", "id": "2"}]
            },
            "heartbeat_limit": 60,
            "deadline": "2099-01-01T00:00:00Z",
        },
    )
    assert len(job["entities"]["entity"]) == 2
    job_id = job["id"]
    new = {"description": "copy", "type": "EXECUTING", "status": "STARTED"}
    step = wire("post", "/api/jobs/{job_id}/steps", new, job_id=job_id)
    sub = wire("post", "/api/jobs/{job_id}/steps", {**new, "parent_step": {"id": step["id"]}}, job_id=job_id)
    assert sub["parent_step"]["id"] == step["id"]
    ids = {"job_id": job_id, "step_id": step["id"]}
    amount = {"current": 1, "end": 2, "text": "disk 1"}
    one_step = "/api/jobs/{job_id}/steps/{step_id}"
    assert wire("post", f"{one_step}/progress", amount, **ids)["step"]["progress"] == amount
    assert wire("post", "/api/jobs/{job_id}/progress", amount, **ids)["job"]["progress"] == amount
    wire("post", "/api/jobs/{job_id}/heartbeat", {}, **ids)
    ended = wire("post", f"{one_step}/end", {"succeeded": False, "force": True, "reason": "full"}, **ids)
    assert ended["step"]["reason"] == "full"
    assert wire("get", one_step, **ids)["status"] == "FAILED"
    wire("get", f"{one_step}/statistics", **ids)
    assert len(wire("get", "/api/jobs/{job_id}/steps", **ids)["step"]) == 2
    make_step(make_job(now=timezone.now()))
    listed = client.get("/api/jobs?follow=steps&max=1&after=", headers={"Accept": kind}).getvalue()
    told = wire.read(listed, {"$ref": "#/components/schemas/Jobs"})
    wire.check(told, {"$ref": "#/components/schemas/Jobs"})
    assert (len(told["job"]), len(told["job"][0]["steps"]["step"]), len(told["link"])) == (1, 1, 1)
    assert len(wire("get", "/api/jobs")["job"]) == 2
    wire("post", "/api/jobs/{job_id}/end", {"status": "FAILED", "reason": "full", "force": False}, **ids)
    wire("post", "/api/jobs/{job_id}/clear", {}, **ids)
    assert wire("get", "/api/jobs/{job_id}", **ids)["reason"] == "full"
    run_commands(wire)
    for place in ("/api", "/api/capabilities", "/api/users"):
        wire("get", place)
    wire("get", "/api/users/{user_id}", user_id=user.pk)
    left = {(place, method) for place, method, _ in operations(described)} - wire.seen
    assert left == {("/api/openapi.json", "get"), ("/api/jobs/{job_id}/batch", "post")}


def run_commands(wire: Wire) -> None:
    worker = Worker(timezone.now())
    told = wire("post", "/api/commands", {"type": "Waiting", "parameters": {"word": "abc"}})
    one, ids = "/api/commands/{command_id}", {"command_id": told["id"]}
    assert told["parameters"]["word"] == "abc"
    worker.turn()
    wire("post", f"{one}/poll", {"reason": "now"}, **ids)
    wire("post", f"{one}/event", {"data": {"a": "b"}}, **ids)
    worker.run()
    assert wire("get", one, **ids)["result"]["letters"] in (1, "1")
    wire("post", f"{one}/remove", {"reason": "over"}, **ids)
    ids["command_id"] = wire("post", "/api/commands", {"type": "Plain"})["id"]
    CommandEntity.objects.update(status="UNKNOWN")
    wire("post", f"{one}/resume", {"reason": "mended"}, **ids)
    assert wire("post", f"{one}/fail", {"reason": "hopeless"}, **ids)["command"]["status"] == "FAILED"
    assert len(wire("get", "/api/commands")["command"]) == 1


@pytest.mark.django_db
def test_a_batch_has_the_shapes_described(client: Client, described: Schema) -> None:
    client.force_login(make_user("plugin", Role.INJECTOR))
    wire = Wire(client, described, "application/json")
    step = {"op": "add_step", "ref": "a", "description": "copy", "type": "EXECUTING", "parent_step": "nobody"}
    lines = [
        {name: value for name, value in step.items() if name != "parent_step"},
        step,
        {"op": "end_step", "step": "a"},
    ]
    answer = client.post(
        f"/api/jobs/{make_job().pk}/batch", "\n".join(map(json.dumps, lines)), "application/x-ndjson"
    )
    results = [json.loads(line) for line in answer.content.splitlines()]
    assert [one["status"] for one in results] == [201, 400, 200]
    for one in results:
        wire.check(one, {"$ref": "#/components/schemas/Result"})
    for one in lines:
        Draft4Validator(
            {"$ref": "#/components/schemas/Report", "components": described["components"]}
        ).validate(one)


@pytest.mark.mission("S73")
@pytest.mark.django_db
@pytest.mark.parametrize("kind", sorted(FORMATS))
@pytest.mark.parametrize(
    ("place", "status"), [("/api/jobs?max=x", 400), ("/api/jobs/" + "0" * 8, 404), ("/api/nothing", 404)]
)
def test_a_fault_has_the_shape_described(
    client: Client, described: Schema, kind: str, place: str, status: int
) -> None:
    client.force_login(make_user("plugin"))
    answer = client.get(place, headers={"Accept": kind})
    assert answer.status_code == status
    wire, shape = Wire(client, described, kind), {"$ref": "#/components/schemas/Fault"}
    wire.check(wire.read(answer.content, shape), shape)
