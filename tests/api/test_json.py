"""The JSON parser and renderer as plain functions."""

import json
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError

from api.json import dumps, loads
from tests.factories import NOW

LIMIT = 999_000


@pytest.mark.parametrize(
    ("value", "design", "engine"),
    [
        ('é"\\\n😀', '"é\\"\\\\\\n😀"', '"é\\"\\\\\\n😀"'),
        (True, "true", '"true"'),
        (7, "7", '"7"'),
        (NOW, '"2026-11-21T12:00:00.000Z"', "1795262400000"),
        ({"a": None, "b": [1, None]}, '{"b":[1,null]}', '{"b":["1",null]}'),
        ({"@major": 4, "#text": "me", "id": "7"}, '{"major":4,"name":"me","id":"7"}', None),
    ],
)
def test_what_becomes_of_a_value(value: Any, design: str, engine: str | None) -> None:
    assert dumps(value, "design") == design
    if engine:
        assert dumps(value, "v4") == dumps(value, "v3") == engine


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("{}", {}),
        ('\ufeff{"a": "1"}', {"a": "1"}),
        ('{"a": [1, {"b": null}], "c": 1.5, "d": -7}', {"a": [1, {"b": None}], "c": 1.5, "d": -7}),
        ('{"a": "\\u00e9\\ud83d\\ude00"}', {"a": "é😀"}),
    ],
)
def test_what_is_read(text: str, members: dict[str, Any]) -> None:
    assert loads(text.encode()) == members


HOSTILE = {
    "empty": b"",
    "blank": b" ",
    "null": b"null",
    "number": b"1",
    "text": b'"x"',
    "list": b"[]",
    "xml": b"<job/>",
    "two": b"{}{}",
    "comment": b"{} // x",
    "comma": b'{"a":1,}',
    "single quotes": b"{'a':1}",
    "control": b'{"a":"\x01"}',
    "line break": b'{"a":"\n"}',
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":-Infinity}',
    "too large": b'{"a":1e999999}',
    "digits": b'{"a":' + b"9" * LIMIT + b"}",
    "twenty-one digits": b'{"a":' + b"9" * 21 + b"}",
    "doubled name": b'{"a":1,"a":2}',
    "doubled name, escaped": b'{"a":1,"\\u0061":2}',
    "invalid UTF-8": b'{"a":"\xff"}',
    "overlong UTF-8": b'{"a":"\xc0\xaf"}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "UTF-32": '{"a":1}'.encode("utf-32"),
    "nine deep": b'{"a":' * 9 + b"1" + b"}" * 9,
    "a thousand deep": b'{"a":' * 1000 + b"1" + b"}" * 1000,
    "a hundred thousand deep": b"[" * 100_000,
    "many objects": b'{"a":[' + b"{}," * (LIMIT // 3) + b"{}]}",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_hostile_texts_are_refused_in_no_time(body: bytes) -> None:
    """H3, H5; CPU, the least of three times."""
    times = []
    for _ in range(3):
        begun = process_time()
        with pytest.raises(ParseError) as refusal:
            loads(body)
        times.append(process_time() - begun)
    assert min(times) < 0.05
    assert len(str(refusal.value.detail)) < 300
    assert "sys." not in str(refusal.value.detail)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), VALUES))
def test_what_is_not_refused_is_read_as_it_was_written(value: dict[str, Any]) -> None:
    try:
        assert loads(json.dumps(value).encode()) == value
    except ParseError as refusal:
        assert "deep" in str(refusal.detail)  # noqa: PT017 - either is right


@given(st.one_of(st.binary(), st.text().map(str.encode), st.text('{}[]":,0a\\u-e.').map(str.encode)))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """Run a million with EXAMPLES=1000000 (conftest.py)."""
    try:
        assert isinstance(loads(body), dict)
    except ParseError as refusal:
        assert str(refusal.detail)  # noqa: PT017 - either is right
