"""Steps by the hundred, written by filling in forms.

Steps that have the same words, and have something or nothing in the same places, differ in ids, texts, numbers and
times only. So what dialect and format make of one of them, with marks in place of these, is the form of them all.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from operator import attrgetter, itemgetter
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from api import json, xml
from api.ovirt.dialects import DIALECTS
from api.wire import Wire
from taskmonitor.models import Step

_WORDS = ("status", "type", "external")  # of few values, so that each has forms of its own
_KEYS = ("pk", "job_id", "parent_step_id")  # stand within addresses too
_BLANKS = (
    *_KEYS,
    *("description", "number", "start_time", "end_time", "reason"),
    *("progress_current", "progress_end", "progress_text", "percent"),
)
_words, _blanks = attrgetter(*_WORDS), attrgetter(*_BLANKS)

_FIRST = 0xE000  # of the marks: letters for private use, one for each blank
_MARKS = [chr(_FIRST + place) for place in range(len(_BLANKS))]
_OF_KEYS, _OF_OTHERS = (f"[{marks[0]}-{marks[-1]}]" for marks in (_MARKS[:3], _MARKS[3:]))
_IN_XML = re.compile(f"{_OF_KEYS}|{_OF_OTHERS}")
_IN_JSON = re.compile(f'{_OF_KEYS}|"{_OF_OTHERS}"')  # where a value has quotes of its own, or none


@dataclass(frozen=True, slots=True)
class _Form:
    text: str
    order: Callable[[list[str]], tuple[str, ...]]  # of the blanks' texts, as they stand in it


class _Texts(dict[Any, str]):
    """What is written for each value; many steps have the same job, parent or time."""

    def __init__(self, write: Callable[[Any], str]) -> None:
        self.write = write

    def __missing__(self, value: Any) -> str:
        self[value] = text = self.write(value)
        return text


class StepWriter:
    """Writes steps as one wire has them, each as the dialect's `step` in the wire's format."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.forms: dict[tuple[Any, ...], _Form] = {}

    def write(self, steps: Iterable[Step]) -> list[str]:
        """The text of each step."""
        written, texts = [], _Texts(self._text)
        for step in steps:
            values = _blanks(step)
            shape = (*_words(step), *[value and True for value in values])  # None, "" and 0 as they are
            form = self.forms.get(shape)
            if form is None:
                form = self.forms[shape] = self._form(shape)
            written.append(form.text % form.order([texts[value] for value in values]))
        return written

    def _form(self, shape: tuple[Any, ...]) -> _Form:
        words, blanks = shape[: len(_WORDS)], shape[len(_WORDS) :]
        marked = [blank and mark for blank, mark in zip(blanks, _MARKS, strict=True)]
        specimen: Any = SimpleNamespace(**dict(zip(_WORDS + _BLANKS, (*words, *marked), strict=True)))
        members = DIALECTS[self.wire.dialect].step(specimen, self.wire.base)
        if self.wire.json:
            text, marks = json.dumps(members, self.wire.dialect), _IN_JSON
        else:
            text, marks = xml.element("step", members), _IN_XML
        places = [ord(mark.strip('"')) - _FIRST for mark in marks.findall(text)]
        return _Form("%s".join(marks.split(text.replace("%", "%%"))), itemgetter(*places))

    def _text(self, value: Any) -> str:
        if isinstance(value, UUID):
            return str(value)
        return json.dumps(value, self.wire.dialect) if self.wire.json else xml.text(value)


writer = cache(StepWriter)  # of few wires: two prefixes, three dialects, two formats
