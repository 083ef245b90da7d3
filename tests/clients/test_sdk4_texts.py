"""Descriptions come back byte for byte."""

from typing import Any

import pytest

from tests.clients.sdk4 import sdk, types

TEXTS = {
    "20 000 characters": "Wörk, wörk & more <work> " * 800,
    "emoji": "🚀 deploy 👩‍💻 done ✅ \U0010ffff",
    "end of CDATA": "a ]]> b <![CDATA[ c ]]> &amp; &#x41; <!-- d -->",
    "blanks around": "  \t leading and trailing \n\n ",
    "lines": "first\nsecond\r\nthird\rfourth\n",
    "quotes": "\"double\" 'single' `back` \\ %s {0} $x",
    "scripts": "العربية עברית 日本語 ไทย Ελληνικά é e\u0301 \u202eright to left\u202c \ufeff\u00a0\u2028",
    "one letter": "x",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_text_comes_back_as_it_was(jobs: Any, text: str) -> None:
    job = jobs.add(types.Job(description=text))
    service = jobs.job_service(job.id)
    steps = service.steps_service()
    step = steps.add(types.Step(description=text, type=types.StepEnum.EXECUTING))
    assert [job.description, service.get().description, jobs.list(max=1)[0].description] == [text] * 3
    assert [step.description, steps.list()[0].description] == [text] * 2
    assert jobs.list(follow="steps", max=1)[0].steps[0].description == text


@pytest.mark.parametrize("text", ["bell \x07", "\x7f\x01", "\ufffe"])
def test_characters_that_xml_cannot_carry_are_refused(jobs: Any, text: str) -> None:
    with pytest.raises(sdk.Error) as refused:
        jobs.add(types.Job(description=text))
    assert refused.value.code == 400
    assert refused.value.fault.detail
