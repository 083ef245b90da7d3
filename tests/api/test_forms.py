"""Jobs and steps written by forms are to the letter what the general writers make of them."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User

from api.formats import one
from api.ovirt.dialects import DIALECTS
from api.ovirt.forms import JOB, STEP, Writer
from api.wire import Wire
from taskmonitor.lifecycle import Status
from taskmonitor.models import Job, Step
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
    "\ue000\ue003\ue103\ue200",  # what stands for the blanks of a form
    '"\ue103"',
    "é“”😀",
]
TIMES = [NOW, NOW + timedelta(milliseconds=1.9), NOW.replace(year=987)]
WORK: dict[str, list[Any]] = {  # each value of each, with those of the rest that come first
    "description": TEXTS[:1] + TEXTS,
    "status": list(Status),
    "external": [True, False],
    "start_time": TIMES,
    "end_time": [None, *TIMES],
    "reason": TEXTS[1:2] + TEXTS,
    "progress_current": [None, 40, 0, 1, 2**63 - 1],
    "progress_end": [None, 100, 0, 1],
    "progress_text": TEXTS[1:2] + TEXTS,
}
FIELDS: dict[type[Job | Step], dict[str, list[Any]]] = {
    Step: {
        **WORK,
        "job_id": [UUID(int=2**127)],
        "parent_step_id": [UUID(int=3), None],
        "type": list(StepType),
        "number": [7, 0, 1],
    },
    Job: {
        **WORK,
        "owner": [User(pk=5, username="plugin"), None, *(User(pk=6, username=text) for text in TEXTS)],
        "action_type": TEXTS,
        "auto_cleared": [True, False],
        "last_updated": TIMES,
        "correlation_id": TEXTS,
        "heartbeat_limit": [None, 1, 60],
        "deadline": [None, *TIMES],
    },
}
WRITTEN: dict[str, list[dict[str, Any]]] = {
    "entities": [{"entity": [{"@type": "vm", "id": text, "name": text}]} for text in TEXTS],
    "owner": [{"href": "/api/users/5", "id": "5", "name": text} for text in TEXTS],
    "steps": [{"step": []}, {"step": [{"description": text} for text in TEXTS]}],
}
wires = [
    Wire(dialect, "/ovirt-engine/api/v4", as_json) for dialect, as_json in product(DIALECTS, (True, False))
]


def each(model: type[Job | Step]) -> Iterator[Any]:
    fields = FIELDS[model]
    usual = {name: values[0] for name, values in fields.items()}
    some = [{name: value} for name, values in fields.items() for value in values]
    progress = [name for name in fields if name.startswith("progress")]
    some += [dict(zip(progress, values, strict=True)) for values in product(*map(fields.get, progress))]
    for number, others in enumerate(some):
        yield model(pk=UUID(int=number), **{**usual, **others})


@pytest.mark.parametrize("wire", wires, ids=str)
@pytest.mark.parametrize(("kind", "model"), [(JOB, Job), (STEP, Step)], ids=["jobs", "steps"])
def test_they_are_written_as_the_dialect_and_the_format_have_them(wire: Wire, kind: Any, model: Any) -> None:
    spell = getattr(DIALECTS[wire.dialect], kind.name)
    expected = [one(wire, kind.name, spell(thing, wire.base)) for thing in each(model)]
    writer = Writer(wire, kind)
    assert writer.write(each(model)) == expected
    assert writer.write(each(model)) == expected  # by the forms that it has now
    assert writer.write([]) == []


@pytest.mark.parametrize("wire", wires, ids=str)
def test_what_is_written_already_has_its_place(wire: Wire) -> None:
    job, spell = next(each(Job)), DIALECTS[wire.dialect].job
    choices = [
        dict(zip(WRITTEN, some, strict=True))
        for some in product(*([None, *some] for some in WRITTEN.values()))
    ]
    expected = [one(wire, "job", spell(job, wire.base) | choice) for choice in choices]
    written = [[choice[name] and one(wire, name, choice[name]) for choice in choices] for name in WRITTEN]
    assert Writer(wire, JOB, tuple(WRITTEN)).write([job] * len(choices), *written) == expected
