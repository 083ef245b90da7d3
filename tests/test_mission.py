"""docs/mission.md: it is what the tests say, and leaves nothing of this version unproved."""

import pytest

from tests import mission


def test_the_page_is_up_to_date() -> None:
    assert mission.PAGE.read_text() == mission.page(), "stale: run `python -m tests.mission`"


def test_each_statement_of_this_version_is_proved() -> None:
    told = {number for statements in mission.STATEMENTS.values() for number in statements}
    assert told >= {f"S{number}" for number in range(1, 128)}
    assert sorted(told - set(mission.proofs())) == []


def test_no_test_names_a_statement_that_there_is_not() -> None:
    known = {f"S{number}" for number in range(1, 186)} | {f"D{number}" for number in range(1, 26)}
    assert sorted(set(mission.proofs()) - known) == []


def test_the_marks_are_found_where_they_can_stand(request: pytest.FixtureRequest) -> None:
    """As pytest itself collected them, in the files that it has collected."""
    seen: dict[tuple[str, str], set[str]] = {}
    for item in request.session.items:
        test = (item.location[0], getattr(item, "originalname", None) or item.name)
        for mark in item.iter_markers("mission"):
            seen.setdefault(test, set()).update(mark.args)
    read: dict[tuple[str, str], set[str]] = {}
    for number, tests in mission.proofs().items():
        for test in tests:
            read.setdefault(test, set()).add(number)
    assert seen == {test: read.get(test) for test in seen}
