"""docs/security-asvs.md: it has each requirement, and what it calls met is shown by a test or a document."""

import ast
import re
from collections import Counter

import pytest
from django.conf import settings

from tests.docs.snippets import ROOT

PAGE = (ROOT / "docs/security-asvs.md").read_text()
MOST_OPEN = 10
# The levels of the requirements of each section, in their order
LEVELS = """
V1.1 22    V1.2 111112222  V1.3 11222222222   V1.4 222     V1.5 12
V2.1 122   V2.2 112        V2.3 1222          V2.4 2
V3.2 11    V3.3 1222       V3.4 112222        V3.5 11122   V3.7 22
V4.1 122   V4.2 2          V4.3 22            V4.4 1222
V6.1 122   V6.2 111111112222  V6.3 1122  V6.4 1122  V6.5 22222  V6.6 222  V6.8 2222
V7.1 222   V7.2 1111       V7.3 22            V7.4 11222   V7.5 22  V7.6 22
V8.1 12    V8.2 112        V8.3 1             V8.4 2
V13.1 2    V13.2 22222     V13.3 22           V13.4 12222
V14.1 22   V14.2 1222      V14.3 122
V16.1 2    V16.2 22222     V16.3 2222         V16.4 222    V16.5 222
"""
ROWS = re.findall(
    r"^\| (V[\d.]+) \| (\d) \| ([^|]+) \| ([^|]+) \| (.+) \|$", PAGE, re.MULTILINE
)  # number, level, what it asks, state, how
TEST = re.compile(r"`(tests/[\w/]+\.py)::([\w:]+)`")
HEADING = re.compile(r"\]\([\w.-]*#[\w-]+\)")


def has_test(file: str, name: str) -> bool:
    """Whether the file has the test, which may be one of a class."""
    body: list[ast.stmt] = ast.parse((ROOT / file).read_text()).body if (ROOT / file).exists() else []
    *classes, function = name.split("::")
    for wanted in classes:
        body = [
            node
            for each in body
            if isinstance(each, ast.ClassDef) and each.name == wanted
            for node in each.body
        ]
    return function.startswith("test_") and any(
        isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name == function for each in body
    )


def test_each_requirement_is_there_once_with_its_level() -> None:
    words = LEVELS.split()
    expected = [
        (f"{section}.{place}", level)
        for section, levels in zip(words[::2], words[1::2], strict=True)
        for place, level in enumerate(levels, 1)
    ]
    assert len(expected) == 165
    assert [(number, level) for number, level, *_ in ROWS] == expected
    assert PAGE.count("\n| V") == 165, "a row that cannot be read"


def test_each_is_told_in_few_words_under_the_heading_of_its_chapter() -> None:
    for number, _, asks, _, how in ROWS:
        assert 2 <= len(asks.split()) <= 12, number
        assert how.strip()
    chapters = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    for chapter in chapters:
        for number in re.findall(r"^\| (V\d+)\.", chapter, re.MULTILINE):
            assert chapter.startswith(f"{number} ")


def test_each_has_one_of_three_states_and_few_are_open() -> None:
    states = Counter(state for _, _, _, state, _ in ROWS)
    assert states.keys() <= {"met", "n/a", "open"}
    assert states["open"] <= MOST_OPEN
    told = re.findall(r"^\| (met|n/a|open) \| (\d+) \|", PAGE, re.MULTILINE)
    assert {state: int(number) for state, number in told} == states


@pytest.mark.parametrize(("number", "state", "how"), [(row[0], row[3], row[4]) for row in ROWS])
def test_what_is_met_is_shown_by_tests_or_headings_that_exist(number: str, state: str, how: str) -> None:
    tests = TEST.findall(how)
    assert how.count("tests/") == len(tests), "a name that cannot be read"
    assert [test for test in tests if not has_test(*test)] == []
    if state == "met":  # whether a heading exists is asked of each link, in test_links.py
        assert tests or HEADING.search(how)


def test_scripts_store_how_pages_look_and_nothing_else() -> None:
    scripts = {file.name: file.read_text() for file in (ROOT / "static").glob("*.js")}
    stored = [
        (name, *found)
        for name, script in sorted(scripts.items())
        for found in re.findall(r"(\w+)Storage\.setItem\(([^,]+),", script)
    ]
    assert stored == [("app.js", "local", '"theme"'), ("tree.js", "session", "STORE")]
    text = "".join(scripts.values())
    assert not re.search(r"indexedDB|document\.cookie|caches\.", text)


def test_scripts_send_and_hear_messages_of_their_own_worker_alone() -> None:
    text = "".join(file.read_text() for file in (ROOT / "static").glob("*.js"))
    assert set(re.findall(r"([\w.]+)\.(?:postMessage|onmessage)", text)) == {"port"}
    assert not re.search(r"addEventListener\([^,]*message", text)


def test_the_log_goes_to_standard_error_alone() -> None:
    assert {name: each["class"] for name, each in settings.LOGGING["handlers"].items()} == {
        "stderr": "logging.StreamHandler"
    }
    assert all("handlers" not in logger for logger in settings.LOGGING["loggers"].values())
