"""docs/admins.md: its tables are those of the code."""

import re
from html import unescape

from taskmonitor.models import ROLE_RIGHTS, AccessToken
from taskmonitor.selectors import state
from taskmonitor.services import login, login_limits, password_lane
from tests.docs.snippets import ROOT

PROSE = (ROOT / "docs/admins.md").read_text()


def rows(head: str) -> list[list[str]]:
    """The cells of the table whose head begins with that word."""
    table = PROSE.partition(f"\n| {head} |")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_the_roles_are_told_with_what_they_carry() -> None:
    told = {role: set(re.findall(r"`(\w+)`", rights)) for role, rights, _ in rows("role")}
    assert told == {str(role): set(map(str, rights)) for role, rights in ROLE_RIGHTS.items()}


def test_the_scopes_of_tokens_are_told() -> None:
    assert [scope.strip("`") for scope, _ in rows("scope")] == list(AccessToken.SCOPES)


def test_the_states_are_told_as_they_are_shown() -> None:
    shown = {one.name for one in vars(state).values() if isinstance(one, state.State)}
    assert {name for name, _ in rows("state")} == shown


def test_the_keys_are_told_as_the_page_shows_them() -> None:
    page = (ROOT / "templates/taskmonitor/page.html").read_text()
    shown = [unescape(key) for key in re.findall(r"<kbd>(.*?)</kbd>", page)]
    told = [key for keys, _ in rows("key") for key in re.findall(r"`(.*?)`", keys)]
    assert sorted(told) == sorted(shown)


def test_how_wrong_passwords_are_slowed_down_is_told() -> None:
    limits = (login_limits.OF_BOTH, login_limits.OF_NAME, login_limits.OF_ADDRESS)
    told = [(after, wait) for _, after, wait in rows("failures of")]
    assert told == [(str(one.free), f"{one.longest.seconds} s") for one in limits]
    assert f"used within {login.REMEMBERED_FOR.seconds // 60} minutes" in PROSE
    assert f"logged in within {login.KNOWN_FOR.days} days" in PROSE
    assert f"{login.MOST_NETWORKS} such\n" in PROSE
    assert f"try again in {password_lane.FULL.seconds} seconds" in PROSE
