"""Steps written by forms are to the letter what the general writers make of them."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import product
from typing import Any
from uuid import UUID

import pytest

from api import json, xml
from api.ovirt.dialects import DIALECTS
from api.ovirt.forms import StepWriter
from api.wire import Wire
from taskmonitor.lifecycle import Status
from taskmonitor.models import Step
from taskmonitor.models.job import StepType
from tests.factories import NOW

TEXTS = [
    "Copy disk",
    "",
    " ",
    "0",
    "100 % of %s and %(name)s, {0} and \\1",
    "<a href=\"x\"> & 'y' ]]> &amp;",
    "line\nline\ttab\rreturn\\",
    "\0\x1f\x7f\x85\u2028\ufffe\uffff",
    "\ue000\ue003\ue00b",  # what stands for the blanks of a form
    '"\ue003"',
    "é“”😀",
]
FIELDS: dict[str, list[Any]] = {  # each value of each, with those of the rest that come first
    "description": TEXTS[:1] + TEXTS,
    "status": list(Status),
    "type": list(StepType),
    "external": [True, False],
    "parent_step_id": [UUID(int=3), None],
    "number": [7, 0, 1],
    "start_time": [NOW, NOW + timedelta(milliseconds=1.9)],
    "end_time": [None, NOW],
    "reason": TEXTS[1:2] + TEXTS,
    "progress_current": [None, 40, 0, 1, 2**63 - 1],
    "progress_end": [None, 100, 0, 1],
    "progress_text": TEXTS[1:2] + TEXTS,
}


def steps() -> Iterator[Step]:
    usual = {name: values[0] for name, values in FIELDS.items()}
    some = [{name: value} for name, values in FIELDS.items() for value in values]
    progress = [name for name in FIELDS if name.startswith("progress")]
    some += [dict(zip(progress, values, strict=True)) for values in product(*map(FIELDS.get, progress))]
    for number, fields in enumerate(some):
        yield Step(pk=UUID(int=number), job_id=UUID(int=2**127), **{**usual, **fields})


@pytest.mark.parametrize("as_json", [False, True], ids=["xml", "json"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_steps_are_written_as_the_dialect_and_the_format_have_them(dialect: str, as_json: bool) -> None:
    wire = Wire(dialect, "/ovirt-engine/api/v4", as_json)
    members = [DIALECTS[dialect].step(step, wire.base) for step in steps()]
    expected = [json.dumps(one, dialect) if as_json else xml.element("step", one) for one in members]
    writer = StepWriter(wire)
    assert writer.write(steps()) == expected
    assert writer.write(steps()) == expected  # by the forms that it has now
