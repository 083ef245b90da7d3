"""Statements whose SQL is made once do what Django's own do."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection
from django.db.models import Q
from django.test.utils import CaptureQueriesContext

from taskmonitor.lifecycle import Status
from taskmonitor.models import Job, Step
from taskmonitor.statements import Filtered, Prepared, insert, update
from tests.factories import NOW, make_job, make_step

pytestmark = pytest.mark.django_db

THE_STEP = Prepared(lambda job, key: Step.objects.filter(job=job, pk=key))
NEWEST = Prepared(lambda status: Job.objects.filter(status=status).order_by("-start_time", "-id"))
WITH_JOB = Prepared(lambda key: Step.objects.filter(pk=key).select_related("job"))
NUMBERS = Prepared(lambda job: Step.objects.filter(job=job).order_by("number").values_list("number", "type"))


def fields(row: Job | Step) -> dict[str, object]:
    names = {field.attname for field in row._meta.concrete_fields} - {"text_id"}  # the database gives that
    return {name: getattr(row, name) for name in names}


def test_a_prepared_query_finds_the_rows_that_its_queryset_finds() -> None:
    job, other = make_job(deadline=None), make_job(description="Other")
    step, _ = make_step(job), make_step(other)
    found = THE_STEP.first(job.pk, step.pk)
    assert found is not None
    assert fields(found) == fields(Step.objects.get(pk=step.pk))
    assert THE_STEP.first(other.pk, step.pk) is None
    assert NEWEST.all(Status.STARTED) == list(Job.objects.order_by("-start_time", "-id"))
    assert NEWEST.all(Status.FAILED) == []


def test_a_prepared_query_brings_related_rows_along() -> None:
    step = make_step(make_job(description="Clone"))
    found = WITH_JOB.first(step.pk)
    assert found is not None
    with CaptureQueriesContext(connection) as queries:
        assert fields(found.job) == fields(Job.objects.get(pk=step.job_id))
    assert len(queries) == 1  # the one that compares


def test_a_prepared_query_gives_plain_values() -> None:
    job = make_job()
    make_step(job), make_step(job, type="VALIDATING")
    assert NUMBERS.rows(job.pk) == [(0, "EXECUTING"), (1, "VALIDATING")]


def test_a_found_row_can_be_changed_and_saved() -> None:
    step = make_step(make_job())
    found = THE_STEP.first(step.job_id, step.pk)
    assert found is not None
    found.description = "Copy the other disk"
    with CaptureQueriesContext(
        connection,
    ) as queries:
        found.save()
    assert [query["sql"].split()[0] for query in queries] == ["UPDATE"]
    assert Step.objects.get(pk=step.pk).description == "Copy the other disk"


def test_insert_stores_every_field_once() -> None:
    job = make_job(description="100 % \"quoted\" 'text' %s")
    stored = Job.objects.get(pk=job.pk)
    assert fields(stored) == fields(job)
    with pytest.raises(IntegrityError):
        insert(job)


def test_update_writes_to_a_row_of_the_right_status_only() -> None:
    job, other = make_job(), make_job()
    assert update(Job, job.pk, {"reason": "why"}, statuses=(Status.STARTED, Status.UNKNOWN))
    assert not update(Job, job.pk, {"reason": "no"}, statuses=(Status.FAILED,))
    assert not update(Job, uuid4(), {"reason": "no"})
    assert [Job.objects.get(pk=one.pk).reason for one in (job, other)] == ["why", ""]


OWNED = Filtered(lambda: Job.objects.select_related("owner"))


def test_a_filter_of_any_shape_finds_what_its_queryset_finds() -> None:
    job, orphan = make_job(description="100 %"), make_job()
    Job.objects.filter(pk=orphan.pk).update(owner=None)
    with CaptureQueriesContext(connection) as queries:
        found = OWNED.all(Q(description="100 %") | Q(owner=None))
        owners = {one.pk: one.owner for one in found}
    assert len(queries) == 1
    assert owners == {job.pk: job.owner, orphan.pk: None}
    assert all(fields(one) == fields(Job.objects.get(pk=one.pk)) for one in found)
    assert OWNED.all(Q(pk__in=())) == []


def test_filters_of_one_shape_differ_in_values_only() -> None:
    owned = Filtered(lambda: Job.objects.all())
    jobs = [make_job(now=NOW + timedelta(seconds=number)) for number in range(3)]
    for job in jobs:
        before = Q(start_time__lt=job.start_time) & ~Q(pk=job.pk, external=False)
        assert owned.all(before, ("-start_time",), stop=1) == jobs[: jobs.index(job)][-1:]
        assert owned.all(before, ("start_time",), start=1) == jobs[1 : jobs.index(job)]
        assert owned.all(Q(pk__among=[job.pk])) == list(Job.objects.filter(pk__among=[job.pk])) == [job]
    assert owned._prepared.cache_info().misses == 3


def test_a_prepared_query_takes_a_list_of_keys() -> None:
    job, other, _ = make_job(), make_job(), make_job()
    for each in (job, other):
        make_step(each)
    steps = Prepared(lambda jobs: Step.objects.filter(job__among=jobs))
    assert {step.job_id for step in steps.all([job.pk, other.pk])} == {job.pk, other.pk}
    assert len(steps.all([job.pk])) == 1
    assert steps.all([]) == []
