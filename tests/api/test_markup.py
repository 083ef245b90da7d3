"""Markup within a text is refused with what to do about it; nothing of a request is dropped in silence."""

import pytest
from django.contrib.auth.models import User

from taskmonitor.models import Job, Step
from tests.api.caller import Caller, fault, read
from tests.factories import make_job, make_step

REMEDY = "write &amp; for & and &lt; for <, or put it into <![CDATA[ and ]]>."


@pytest.fixture(params=["/api", "/ovirt-engine/api", "/api/v3"])
def script(request: pytest.FixtureRequest, owner: User) -> Caller:
    return Caller(owner, base=request.param)


@pytest.mark.parametrize(
    "text",
    [
        "Backup of <vm>web-01</vm> to tape",
        "Backup <br/> of web-01",
        "<b>Backup</b>",
        "<b>Backup</b> of web-01",
        "Backup of <web-01>",
        "Backup && verify",
        "1 < 2",
    ],
)
def test_text_that_was_not_escaped_is_refused_with_the_remedy(script: Caller, text: str) -> None:
    job = make_job()
    step = make_step(job)
    jobs, added = Job.objects.count(), "<type>EXECUTING</type>"
    for path, sent, name in (
        ("jobs", f"<job><description>{text}</description></job>", "description"),
        (f"jobs/{job.pk}/steps", f"<step>{added}<description>{text}</description></step>", "description"),
        (f"jobs/{job.pk}/end", f"<action><reason>{text}</reason></action>", "reason"),
        (f"jobs/{job.pk}/progress", f"<progress><text>{text}</text></progress>", "text"),
        (f"jobs/{job.pk}/steps/{step.pk}/end", f"<action><reason>{text}</reason></action>", "reason"),
    ):
        status, _, told = fault(script.send("POST", path, sent))
        assert status == 400
        assert told.endswith(REMEDY)
        assert name in told or "not well-formed" in told
    assert (Job.objects.count(), Step.objects.count()) == (jobs, 1)
    assert not Job.objects.exclude(status="STARTED").exists()


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ("Backup of &lt;vm> &amp; co", "Backup of <vm> & co"),
        ("<![CDATA[Backup of <vm>web-01</vm> && co]]>", "Backup of <vm>web-01</vm> && co"),
        ("Backup <!-- no text --><?of no?>of web-01", "Backup of web-01"),
    ],
)
def test_text_that_was_is_kept_whole(script: Caller, sent: str, text: str) -> None:
    whole = f'<job>\n  <description xml:lang="en">{sent}</description>\n</job>'
    assert read(script.send("POST", "jobs", whole))["description"] == text


@pytest.mark.parametrize(
    ("path", "sent", "words"),
    [
        ("jobs", "<job>Backup</job>", "job: has a text, 'Backup'"),
        ("jobs", '<job id="7">Backup</job>', "job: has a text, 'Backup'"),
        (
            "jobs",
            "<job>Backup<description>d</description></job>",
            "<job> has text and elements side by side.",
        ),
        (
            "jobs",
            '<job><description>d</description><entities><entity type="vm" id="7">web</entity></entities></job>',
            "entity: has a text, 'web'",
        ),
        ("jobs", "<job><description>d</description><entities>web</entities></job>", "entities: must hold"),
        (
            "jobs",
            '<job><description>d</description><entities a="1">web</entities></job>',
            "entity: has a text, 'web'",
        ),
        (
            "jobs",
            "<job><description>a</description><description>b</description></job>",
            "description: must be one",
        ),
        ("jobs/{}/end", "<action>failed</action>", "action: has a text, 'failed'"),
        ("jobs/{}/end", "<action><status><b>failed</b></status></action>", "status: must be one text."),
        ("jobs/{}/end", "<action><status>failed<b/></status></action>", "<status> has text and elements"),
        ("jobs/{}/end", "<action><succeeded><b>false</b></succeeded></action>", "succeeded: Value"),
        ("jobs/{}/end", "<action><reason>a</reason><reason>b</reason></action>", "reason: must be one text."),
        ("jobs/{}/heartbeat", "<action>alive</action>", "action: has a text, 'alive'"),
        ("jobs/{}/clear", "<action>all<force/></action>", "<action> has text and elements"),
        ("jobs/{}/progress", "<progress>40</progress>", "progress: has a text, '40'"),
        ("jobs/{}/progress", "<progress><current><b>4</b></current></progress>", "current:"),
        (
            "jobs/{}/steps",
            '<step><description>d</description><type>EXECUTING</type><parent_step id="7">top</parent_step></step>',
            "parent_step: has a text, 'top'",
        ),
        (
            "jobs/{}/steps",
            '<step><description>d</description><type>EXECUTING</type><job id="7">top</job></step>',
            "job: has a text, 'top'",
        ),
    ],
)
def test_what_would_be_lost_is_refused(plugin: Caller, path: str, sent: str, words: str) -> None:
    job = make_job()
    status, _, told = fault(plugin.send("POST", path.format(job.pk), sent))
    assert (status, told[: len(words)]) == (400, words)
    job.refresh_from_db()
    assert (Job.objects.count(), job.status, job.cleared_at, job.progress_current) == (
        1,
        "STARTED",
        None,
        None,
    )
