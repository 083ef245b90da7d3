"""docs/operators.md and the dashboard name the metrics that there are."""

import json
import re
from typing import Any

import pytest
import yaml

import api.native.metrics  # noqa: F401 - it adds those of the site
from coordinator import signs
from taskmonitor.metrics import REGISTRY
from tests.docs.snippets import ROOT, blocks

PAGE = "docs/operators.md"
DASHBOARD = json.loads((ROOT / "docs/grafana-dashboard.json").read_text())
NAME = re.compile(r"\b(?:taskmonitor|http_server|process)_\w+")

pytestmark = pytest.mark.django_db


def exported() -> dict[str, set[str]]:
    """Each metric, as it is named where it is asked for, with its labels."""
    signs.show(signs.UPKEEP)
    found: dict[str, set[str]] = {}
    for family in REGISTRY.collect():
        ends = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("_total",)}.get(family.type, ("",))
        labels = {label for sample in family.samples for label in sample.labels}
        found |= {f"{family.name}{end}": labels for end in ends}
    found["http_server_request_duration_seconds_bucket"] |= {
        "le",
        "http_request_method",
        "http_route",
        "http_response_status_code",
    }
    found["http_server_request_duration_seconds_count"] = found["http_server_request_duration_seconds_bucket"]
    return found


def expressions(part: Any) -> list[str]:
    """All that is asked of Prometheus anywhere in it."""
    if isinstance(part, dict):
        return [
            text
            for name, value in part.items()
            for text in ([value] if name == "expr" else expressions(value))
        ]
    return [text for one in part for text in expressions(one)] if isinstance(part, list) else []


def alerts() -> Any:
    [rules] = [one.text for one in blocks(PAGE) if one.language == "yaml" and "alert:" in one.text]
    return yaml.safe_load(rules)


@pytest.mark.parametrize("part", [DASHBOARD, alerts()], ids=["dashboard", "alerts"])
def test_each_metric_and_label_that_is_asked_for_is_there(part: Any) -> None:
    known, asked = exported(), expressions(part)
    assert len(asked) >= 7
    for expression in asked:
        names = set(NAME.findall(expression))
        assert names <= set(known), expression
        labels = {label for name in names for label in known[name]} | {"job", "instance"}
        used = set(re.findall(r"(\w+)=~?\"", expression))
        for group in re.findall(r"by \(([^)]+)\)", expression):
            used |= {label.strip() for label in group.split(",")}
        assert used <= labels, expression


def test_the_dashboard_shows_every_metric_of_ours() -> None:
    ours = {name for name in exported() if name.startswith(("taskmonitor_", "http_"))}
    shown = {name for text in expressions(DASHBOARD) for name in NAME.findall(text)}
    assert {name for name in ours if not name.endswith(("_sum", "_count"))} <= shown


def test_each_metric_is_told_of_and_no_other() -> None:
    section = (ROOT / PAGE).read_text().partition("### Metrics")[2].partition("### ")[0]
    rows = "".join(line.split("|")[1] for line in section.splitlines() if line.startswith("| `"))
    told = set(re.findall(r"`(\w+)`", rows))
    assert told == {re.sub("_(bucket|count|sum)$", "", name) for name in exported()}


def test_the_examples_of_configuration_can_be_read() -> None:
    read = [yaml.safe_load(one.text) for one in blocks(PAGE) if one.language == "yaml"]
    assert {name for one in read for name in one} >= {"scrape_configs", "groups", "readinessProbe"}
