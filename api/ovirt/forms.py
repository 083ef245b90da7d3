"""Jobs and steps by the hundred, written by filling in forms.

Those that have the same words, and have something or nothing in the same places, differ in ids, texts, numbers and
times only. So what dialect and format make of one of them, with marks in place of these, is the form of them all.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain, count
from operator import attrgetter, itemgetter
from types import SimpleNamespace
from typing import Any

from api import json, xml
from api.formats import one
from api.ovirt.dialects import DIALECTS
from api.wire import Wire


@dataclass(frozen=True, slots=True)
class Kind:
    """What every dialect spells by its function of that name, and XML calls so too; and its fields."""

    name: str
    words: tuple[str, ...]  # of few values, so that each has forms of its own
    keys: tuple[str, ...]  # stand within addresses too
    values: tuple[str, ...]


_WORK = (
    "description",
    "start_time",
    "end_time",
    "reason",
    "progress_current",
    "progress_end",
    "progress_text",
)
JOB = Kind(
    "job",
    words=("status", "external", "auto_cleared"),
    keys=("pk", "owner_id"),
    values=(
        *_WORK,
        *("owner_name", "action_type", "last_updated", "correlation_id", "heartbeat_limit", "deadline"),
    ),
)
STEP = Kind(
    "step",
    words=("status", "type", "external"),
    keys=("pk", "job_id", "parent_step_id"),
    values=(*_WORK, "number", "percent"),
)

_FIRST = (0xE000, 0xE100, 0xE200)  # of the marks of each sort of blanks: letters for private use
_KEY, _VALUE, _WRITTEN = (f"[{chr(first)}-{chr(first + 255)}]" for first in _FIRST)
_IN_XML = re.compile(rf"({_KEY}|{_VALUE}|<\w+>{_WRITTEN}</\w+>)")
_IN_JSON = re.compile(f'({_KEY}|"{_VALUE}"|"{_WRITTEN}")')  # where a value has quotes of its own, or none


@dataclass(frozen=True, slots=True)
class _Form:
    printed: tuple[str, ...]  # between the blanks
    order: Callable[[tuple[str, ...]], tuple[str, ...]]  # of the texts for the blanks and of these

    def filled(self, texts: tuple[str, ...]) -> str:
        return "".join(self.order(texts + self.printed))


class Writer:
    """Writes things of one kind as one wire has them, each as the dialect spells it, in the wire's format.

    Members of these names that are `written` already stand where the dialect has them, or else at the end.
    """

    def __init__(self, wire: Wire, kind: Kind, written: tuple[str, ...] = ()) -> None:
        self.wire, self.kind, self.written = wire, kind, written
        self.fields = attrgetter(*kind.words, *kind.keys, *kind.values)
        self.form = cache(self._form)
        self.text: Callable[[Any], str] = partial(json.dumps, dialect=wire.dialect) if wire.json else xml.text

    def write(self, things: Iterable[Any], *written: Sequence[str | None]) -> list[str]:
        """The text of each thing; of what is written already each has one, or None."""
        columns = list(zip(*map(self.fields, things), strict=True))
        behind_words = len(self.kind.words)
        behind_keys = behind_words + len(self.kind.keys)
        words, keys, values = columns[:behind_words], columns[behind_words:behind_keys], columns[behind_keys:]
        given = [[value and True for value in column] for column in (*keys, *values, *written)]
        text = cache(self.text)  # many have the same time, or nothing
        texts = (*[map(str, column) for column in keys], *[map(text, column) for column in values], *written)
        forms = map(self.form, zip(*words, *given, strict=True))
        return [form.filled(blanks) for form, blanks in zip(forms, zip(*texts, strict=True), strict=True)]

    def _form(self, shape: tuple[Any, ...]) -> _Form:
        """The form of what has these words, and True in the blanks; or None, "" or 0, which stand as they are."""
        words, blanks = shape[: len(self.kind.words)], shape[len(self.kind.words) :]
        sorts = zip(_FIRST, (self.kind.keys, self.kind.values, self.written), strict=True)
        marks = {name: chr(first + place) for first, names in sorts for place, name in enumerate(names)}
        marked = {name: blank and mark for blank, (name, mark) in zip(blanks, marks.items(), strict=True)}
        specimen = SimpleNamespace(**dict(zip(self.kind.words, words, strict=True)), **marked)
        members = getattr(DIALECTS[self.wire.dialect], self.kind.name)(specimen, self.wire.base)
        members |= {name: marked[name] for name in self.written}
        parts = (_IN_JSON if self.wire.json else _IN_XML).split(one(self.wire, self.kind.name, members))
        places = [
            [*marks.values()].index(max(part)) for part in parts[1::2]
        ]  # a mark is its part's highest letter
        order = [*chain.from_iterable(zip(count(len(marks)), places)), len(marks) + len(places)]
        return _Form(tuple(parts[::2]), itemgetter(*order))


writer = cache(Writer)  # of few wires: two prefixes, three dialects, two formats
