"""docs/plugins.md: what it says is done, and comes back as it says."""

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
from django.conf import settings

from api.errors import AWAY, TABLE
from api.ovirt import batch
from api.schema import document
from api.wire import DEEPEST
from taskmonitor.selectors import search
from taskmonitor.services import jobs, steps, text
from taskmonitor.serving import connection
from tests.docs.snippets import ROOT, blocks, plain, run
from tests.live import Site

PAGE = "docs/plugins.md"
PROSE = (ROOT / PAGE).read_text()


@pytest.mark.mission(
    "S14", "S15", "S16", "S19", "S21", "S27", "S28", "S64", "S66", "S67", "S69", "S70", "S73"
)
def test_each_command_is_answered_as_shown(site: Site, backup: dict[str, str], tmp_path: Path) -> None:
    shown = blocks(PAGE)
    commands = [one.text.replace("http://127.0.0.1:8000", site.url) for one in shown if one.language == "sh"]
    fetched = f"{commands[0].strip()} | tee token.json; TOKEN=$(grep -o 'tm_[^\"]*' token.json)\n"
    printed = run([fetched, *commands[1:]], tmp_path, PASSWORD=backup["password"])
    answers = dict(zip([one for one in shown if one.language == "sh"], printed, strict=True))
    compared = 0
    for command, answer in pairwise(shown):
        if command.language == "sh" and answer.language != "sh":
            told = plain(answers[command], answer.language)
            assert told == plain(answer, answer.language), command.text
            compared += 1
    assert compared == len(shown) - len(commands) > 10


def rows(title: str) -> list[list[str]]:
    """The cells of the first table of that section, without its head."""
    section = re.split(r"^## ", PROSE.partition(f"\n## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_each_address_is_told_of() -> None:
    told = {
        (method.lower(), re.sub("<id>", "{}", place).rstrip("/"))
        for first, _ in rows("Addresses")
        for method, place in re.findall(r"(GET|POST) (/[^`]*)", first)
    }
    known = {
        (method, re.sub("{.*?}", "{}", place.removeprefix("/api")))
        for place, item in json.loads(document())["paths"].items()
        for method in item
    }
    assert told == known


def test_each_kind_of_error_is_told_of() -> None:
    told = {(int(status), reason) for status, reason, _ in rows("Errors")}
    assert told == {*TABLE.values(), (503, AWAY), (500, "Internal error")}


def test_each_limit_is_told_of() -> None:
    told = {first: int(re.sub(r"\D", "", re.match(r"[\d ]+", most)[0])) for first, most in rows("Limits")}  # type: ignore[index]
    assert told == {
        "body of a request": settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
        "request line and headers": connection.HEAD_SIZE,
        "levels within a body": DEEPEST,
        "lines of a batch": batch.LONGEST,
        "`description`, `reason`": text.LONGEST,
        "`text` of progress": 1000,
        "steps above a step": steps.DEEPEST,
        "entities of a job": 100,
        "type of an entity": 50,
        "id and name of an entity": 255,
        "`heartbeat_limit`": jobs.LONGEST_HEARTBEAT,
        "`Correlation-Id`": 50,
        "`Idempotency-Key`": 255,
        "`search`": search._LONGEST,
    }


def test_each_column_of_the_search_is_told_of() -> None:
    columns = re.findall(
        r"`(\w+)`", " ".join(first for first, _ in rows("Finding jobs: lists, pages, search"))
    )
    assert sorted(columns) == sorted(search.COLUMNS)
