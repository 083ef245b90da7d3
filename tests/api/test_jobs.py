"""GET jobs and GET jobs/<id>."""

import json
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import User

from taskmonitor.models import Job, Role
from taskmonitor.services import jobs
from tests.api.caller import JSON, Caller, body, fault, read
from tests.factories import NOW, make_actor, make_job, make_step


def ids(members: dict[str, object]) -> list[str]:
    """The ids of a collection's members, in order."""
    (found,) = [value for name, value in members.items() if name in ("job", "step")] or [[]]
    return [one["id"] for one in (found if isinstance(found, list) else [found])]


@pytest.fixture
def three(owner: object) -> list[Job]:
    """Jobs, newest first."""
    return [make_job(description=f"Job {n}", now=NOW - timedelta(hours=n)) for n in range(3)]


@pytest.mark.mission("S23", "S43", "S73")
def test_jobs_are_listed_newest_first(either: Caller, three: list[Job]) -> None:
    response = either.get("jobs")
    assert response.status_code == 200
    assert ids(read(response)) == [str(job.pk) for job in three]


@pytest.mark.mission("S23")
def test_an_empty_list_is_a_list(either: Caller) -> None:
    assert ids(read(either.get("jobs"))) == []
    assert ids(read(either.get("jobs?max=5"))) == []


@pytest.mark.mission("S24", "S41", "S44")
def test_the_href_of_each_job_leads_to_it(either: Caller, three: list[Job]) -> None:
    for job in read(either.get("jobs"))["job"]:
        assert job["href"] == f"/api/jobs/{job['id']}"
        assert read(either.get(job["href"])) == job


@pytest.mark.mission("S24", "D15")
def test_an_unknown_job_is_not_found(either: Caller) -> None:
    key = uuid4()
    assert fault(either.get(f"jobs/{key}")) == (404, "Not found", f"Job {key} does not exist.")


@pytest.mark.mission("D3")
@pytest.mark.parametrize("base", ["/api", "/ovirt-engine/api", "/api/v3", "/ovirt-engine/api/v4"])
def test_jobs_may_be_written_large_and_hrefs_begin_as_the_address_did(
    calling: Callable[..., Caller], three: list[Job], base: str
) -> None:
    caller = calling("plugin", base=base)
    small, large = read(caller.get("jobs")), read(caller.get("Jobs"))
    assert small == large
    assert {job["href"] for job in large["job"]} == {f"{base}/jobs/{job.pk}" for job in three}
    assert read(caller.get(f"Jobs/{three[0].pk}"))["id"] == str(three[0].pk)


@pytest.mark.mission("D14")
def test_a_cleared_job_is_reached_by_its_id_alone(either: Caller, three: list[Job]) -> None:
    job = three[0]
    jobs.end_job(job_id=job.pk, status="FINISHED", actor=make_actor(), now=NOW)
    jobs.clear_job(job_id=job.pk, actor=make_actor(), now=NOW)
    assert str(job.pk) not in ids(read(either.get("jobs")))
    assert read(either.get(f"jobs/{job.pk}"))["id"] == str(job.pk)


@pytest.mark.parametrize("address", ["jobs?max=2", "jobs;max=2"])
def test_max_cuts_the_list_and_links_to_the_rest(either: Caller, three: list[Job], address: str) -> None:
    response = either.get(address)
    assert ids(read(response)) == [str(job.pk) for job in three[:2]]
    assert "link" not in read(response)
    following = response["Link"].removeprefix("<").removesuffix('>; rel="next"')
    rest = either.get(following)
    assert ids(read(rest)) == [str(three[2].pk)]
    assert "Link" not in rest


def test_a_page_that_was_asked_for_names_the_next_one(either: Caller, three: list[Job]) -> None:
    following = either.get("jobs?max=1")["Link"][1:].partition(">")[0]
    second = read(either.get(following))
    assert second["link"]["rel" if isinstance(second["link"], dict) else 0]
    seen = ids(second)
    link = second["link"] if isinstance(second["link"], dict) else second["link"][0]
    seen += ids(read(either.get(link["href"])))
    assert seen == [str(job.pk) for job in three[1:]]


def test_jobs_that_arrive_meanwhile_do_not_shift_the_pages(plugin: Caller, three: list[Job]) -> None:
    following = plugin.get("jobs?max=2")["Link"][1:].partition(">")[0]
    make_job(now=NOW + timedelta(hours=1))
    assert ids(read(plugin.get(following))) == [str(three[2].pk)]


@pytest.mark.parametrize("value", ["0", "1", "2", "500", "501", "999999999"])
def test_max_may_be_any_whole_number(either: Caller, three: list[Job], value: str) -> None:
    assert len(ids(read(either.get(f"jobs?max={value}")))) == min(int(value), 3)


@pytest.mark.parametrize(
    "value", ["-1", "", "two", "1.5", "1e3", "9" * 10, "9" * 5000, "%00", "٣", "+1", "0x1"]
)
@pytest.mark.parametrize("path", ["jobs", "jobs/{job}/steps", "users"])
def test_max_is_nothing_else(plugin: Caller, value: str, path: str) -> None:
    status, _, detail = fault(plugin.get(f"{path.format(job=make_job().pk)}?max={value}"))
    assert (status, detail[:4]) == (400, "max:")


def make_many(plugin: Caller) -> None:
    """1200 jobs, three of each second."""
    Job.objects.bulk_create(
        Job(
            description=f"Job {n}",
            owner=plugin.user,
            external=True,
            correlation_id=str(n),
            start_time=NOW + timedelta(seconds=n // 3),
            last_updated=NOW,
            last_sign=NOW,
        )
        for n in range(3, 1203)
    )


def test_a_long_list_is_streamed_whole(plugin: Caller, owner: object) -> None:
    start = make_job()
    make_many(plugin)
    response = plugin.get("jobs")
    assert response.streaming
    found = read(response)["job"]
    assert len({job["id"] for job in found}) == 1201
    assert found == sorted(found, key=lambda job: (job["start_time"], job["id"]), reverse=True)
    assert len(read(plugin.get("jobs?max=700"))["job"]) == 700
    assert len(read(plugin.get("jobs", Accept="application/json"))["job"]) == 1201
    assert found[-1]["id"] == str(start.pk)


@pytest.mark.parametrize("asked", ["after=", "max=1000&after=", "max=700&after="])
def test_a_page_of_a_long_list_has_at_most_500_and_links_on(plugin: Caller, asked: str) -> None:
    make_many(plugin)
    whole = ids(read(plugin.get("jobs")))
    address, seen, sizes = f"jobs?{asked}", [], []
    while address:
        page = plugin.get(address)
        found = ids(read(page))
        seen, sizes = seen + found, [*sizes, len(found)]
        address = page["Link"][1:].partition(">")[0] if "Link" in page else ""
    assert (seen, sizes) == (whole, [500, 500, 200])


@pytest.mark.parametrize("limit", [5, 501])
def test_pages_are_counted_in_jobs_however_many(plugin: Caller, limit: int) -> None:
    make_many(plugin)
    whole = ids(read(plugin.get("jobs")))
    second = plugin.get(f"jobs?max={limit}&search=page+2")
    assert ids(read(second)) == whole[limit : 2 * limit]


def test_the_page_behind_a_counted_one_follows_it(plugin: Caller) -> None:
    make_many(plugin)
    whole = ids(read(plugin.get("jobs?max=20")))
    following = plugin.get("jobs?max=5&search=page+2")["Link"][1:].partition(">")[0]
    assert ids(read(plugin.get(following))) == whole[10:15]


@pytest.mark.parametrize("limit", [500, 501])
def test_pages_are_not_counted_over_the_whole_site(plugin: Caller, limit: int) -> None:
    status, _, detail = fault(plugin.get(f"jobs?max={limit}&search=page+999999"))
    assert (status, detail[:20]) == (400, "search: page 999999 ")


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "%00",
        "====",
        "é",
        "bm9uc2Vuc2U=",  # nonsense
        "MjAyNi0xMS0yMVQxMjowMDowMCB4",  # a time and no id
        "OTk5OS0xMi0zMVQyMzo1OTo1OS0xNDowMCAwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDA=",  # beyond 9999
        "MDAwMS0wMS0wMVQwMDowMDowMCsxNDowMCAwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDA=",  # before 1
        "x" * 5000,
    ],
)
def test_a_forged_cursor_is_refused(either: Caller, cursor: str) -> None:
    status, _, detail = fault(either.get(f"jobs?max=1&after={cursor}"))
    assert (status, detail[:6]) == (400, "after:")


def test_a_cursor_without_zone_is_taken_for_utc(plugin: Caller, three: list[Job]) -> None:
    cursor = (
        "MjAyNi0xMS0yMVQxMjowMDowMCAwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDA="  # NOW and the least id
    )
    assert ids(read(plugin.get(f"jobs?max=9&after={cursor}"))) == [str(job.pk) for job in three[1:]]


@pytest.mark.mission("D25")
def test_one_sees_ones_own_jobs_and_a_viewer_all(calling: Callable[..., Caller], owner: object) -> None:
    theirs = make_job()
    rival, viewer = calling("rival", Role.INJECTOR), calling("viewer", Role.VIEWER)
    own = read(rival.post("jobs", "job", {"description": "Mine"}))["id"]
    assert ids(read(rival.get("jobs"))) == [own]
    assert set(ids(read(viewer.get("jobs")))) == {own, str(theirs.pk)}
    assert ids(read(viewer.get("jobs?filter=true"))) == []
    assert ids(read(viewer.get("jobs", Filter="True"))) == []
    assert len(ids(read(viewer.get("jobs", Filter="False")))) == 2
    assert fault(viewer.get("jobs", Filter="perhaps"))[2].startswith("filter: 'perhaps' is neither true nor")


@pytest.mark.parametrize("format_", ["application/xml", "application/json"])
def test_steps_and_owner_are_spelled_out_where_they_are_followed(
    calling: Callable[..., Caller], owner: object, format_: str
) -> None:
    job = make_job()
    top = make_step(job)
    make_step(job, parent_step_id=top.pk)
    caller = calling("plugin", format=format_)
    for version in ("3", "4"):
        one = read(caller.get(f"jobs/{job.pk}?follow=steps,owner", Version=version))
        assert [step["id"] for step in one["steps"]["step"]] == ids(read(caller.get(f"jobs/{job.pk}/steps")))
        assert one["owner"]["user_name"] == "plugin@internal"
        listed = read(caller.get("jobs?follow=steps", Version=version))["job"]
        assert len((listed[0] if isinstance(listed, list) else listed)["steps"]["step"]) == 2
    assert fault(caller.get("jobs?follow=vms")) == (
        400, "Invalid value", "follow: there is no link vms; there are steps, steps.statistics, owner.",
    )  # fmt: skip


@pytest.mark.parametrize("base", ["/api", "/ovirt-engine/api", "/api/v3"])
def test_statistics_of_steps_are_empty_where_they_are_followed(owner: User, base: str) -> None:
    job = make_job()
    step = make_step(job)
    xml, as_json = Caller(owner, base=base), Caller(owner, JSON, base)
    for path in (f"jobs/{job.pk}?follow=steps.statistics", "jobs?max=5&follow=steps.statistics,owner"):
        assert body(xml.get(path)).count(b"<statistics/>") == 1
        told = json.loads(body(as_json.get(path)))
        [one] = told.get("job", [told])
        assert [(step["id"], step["statistics"]) for step in one["steps"]["step"]] == [
            (str(step.pk), {"statistic": []})
        ]
    for path in (f"jobs/{job.pk}/steps", f"jobs/{job.pk}/steps/{step.pk}"):
        followed = f"{path}?follow=statistics,job"
        assert body(xml.get(followed)).count(b"<statistics/>") == 1
        told = json.loads(body(as_json.get(followed)))
        assert told.get("step", [told])[0]["statistics"] == {"statistic": []}
        for plain in (f"{path}?follow=job", path):
            assert b"<statistics/>" not in body(xml.get(plain))
    assert fault(xml.get("jobs?follow=steps.owner"))[2].startswith("follow: there is no link steps.owner")


def test_unknown_parameters_are_ignored(either: Caller, three: list[Job]) -> None:
    assert len(ids(read(either.get("jobs;case_sensitive=false;async=true?all_content=true&x=%00")))) == 3
