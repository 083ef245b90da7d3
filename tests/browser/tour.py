"""Every page in every state that one can look at: for the test of access for all, and for screenshots."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

from playwright.sync_api import Page

from tests.browser.plugin import Plugin
from tests.live import Site

SETTING = """
from django.contrib.auth.models import Group, User
User.objects.create_user("nobody-yet", password="correct horse battery")
for name, role in (("creator", "External tasks creator"), ("viewer", "Task viewer")):
    User.objects.create_user(name, password="correct horse battery").groups.add(Group.objects.get(name=role))
"""
LOSE = """
from uuid import UUID
from datetime import timedelta
from django.utils import timezone
from taskmonitor.services.jobs import lose_job
lose_job(job_id=UUID("{}"), reason="No sign of life for 60 seconds.", now=timezone.now() + timedelta(minutes=2))
"""

SHOWN = """
from django.template.loader import render_to_string
print(render_to_string("{}", {{"before": "/tokens/", "words": "Nothing was done. This command is failed by now."}}))
"""


def _nothing(page: Page) -> None:
    pass


@dataclass(frozen=True)
class Stop:
    """A page as `user` sees it (nobody in particular if that is empty) after `then` was done there."""

    name: str
    address: str
    user: str = "admin"
    then: Callable[[Page], None] = field(default=_nothing)


def prepare(site: Site) -> list[Stop]:
    """Fill the site, which has the commands of the tests, and say where to look."""
    site.manage("shell", "-v0", "-c", SETTING)
    plugin = Plugin(site, site.username, site.password)
    entities = [{"type": "vm", "id": f"web-0{n}"} for n in (1, 2, 3)]
    clone = plugin.job("Nightly clone of web-01", entities=entities)
    checks = plugin.step(clone, "Check quota")
    plugin.end_step(clone, checks)
    copies = plugin.step(clone, "Copy disks")
    disk = plugin.step(clone, "Disk 1", parent=copies)
    plugin.progress(clone, disk, current=1288490189, end=4294967296, text="bytes")
    plugin.progress(clone, plugin.step(clone, "Disk 2", parent=copies), current=30, end=120, text="files")
    plugin.progress(clone, current=42, end=100, text="Copying disk 2 of 3")
    broken = plugin.job("Rebuild db-02 " + "with a very long name " * 8, entities=entities[:1])
    outer = plugin.step(broken, "Volumes")
    inner = plugin.step(broken, "Volume b", parent=outer)
    plugin.post(f"/{broken}/steps/{inner}/end", status="FAILED", reason="No space left on datastore ds-7")
    plugin.post(f"/{broken}/end", status="FAILED", reason="Volume b could not be copied.")
    silent = plugin.job("Index refresh", heartbeat_limit=60)
    plugin.step(silent, "Reads documents")
    site.manage("shell", "-v0", "-c", LOSE.format(silent))
    warned = plugin.job("Backup of \u202eweb-02")
    plugin.end_step(warned, plugin.step(warned, "Snapshot"), succeeded=False)
    plugin.end_job(warned)
    plugin.end_job(plugin.job("Stopped by hand"), "ABORTED")
    plugin.end_job(plugin.job("Renew certificates"))
    waiting = plugin.command("Waiting", word="abc")
    failing = plugin.command("Plain", fail_in="execute")
    plugin.command("Family", times=3)
    return [
        Stop("login", "/login/", ""),
        Stop("login-late", "/login/?late=1", ""),
        Stop("login-refused", "/login/", "", _log_in_wrongly),
        Stop("admin-login", "/admin/login/", ""),
        Stop("list-no-role", "/jobs/", "nobody-yet"),
        Stop("list-empty", "/jobs/", "creator"),
        Stop("list", "/jobs/"),
        Stop("list-open", "/jobs/", then=_open_first_row),
        Stop("list-no-fit", "/jobs/?text=zzzz&status=FAILED"),
        Stop("list-problem", "/jobs/?search=foo+%3D+1"),
        Stop("list-menu", "/jobs/", then=_open_menu),
        Stop("list-keys", "/jobs/", then=_show_keys),
        Stop("job-running", f"/jobs/{clone}/"),
        Stop("job-failed", f"/jobs/{broken}/"),
        Stop("job-lost", f"/jobs/{silent}/"),
        Stop("job-warned", f"/jobs/{warned}/"),
        Stop("job-cleared", f"/jobs/{warned}/", then=_clear),
        Stop("step", f"/jobs/{clone}/steps/{copies}/"),
        Stop("step-failed", f"/jobs/{broken}/steps/{inner}/"),
        Stop("commands", "/commands/"),
        Stop("commands-none", "/commands/?text=zzzz"),
        Stop("commands-problem", "/commands/?show=zzzz"),
        Stop("command-waiting", f"/commands/{waiting}/"),
        Stop("command-failed", f"/commands/{failing}/"),
        Stop("command-dialog", f"/commands/{waiting}/", then=_ask("Mark failed…")),
        Stop("command-confirm", f"/commands/{waiting}/remove/"),
        Stop("tokens-none", "/tokens/", "viewer"),
        Stop("tokens-made", "/tokens/", then=_make_token),
        Stop("tokens", "/tokens/"),
        Stop("tokens-dialog", "/tokens/", then=_ask("Revoke nightly")),
        Stop("account", "/account/"),
        Stop("account-refused", "/account/", then=_end_nothing),
        Stop("password", "/account/password/"),
        Stop("not-found", "/nothing/"),
        Stop("no-such-job", "/jobs/00000000-0000-0000-0000-000000000000/"),
        Stop("not-allowed", f"/commands/{waiting}/fail/", "viewer"),
        Stop("only-posted", f"/jobs/{clone}/clear/"),
        Stop("refused", "/jobs/?search=%FF"),
        *(
            Stop(f"error-{n}", "/login/", "", _shown(site, f"{n}.html"))
            for n in ("400", "403_csrf", "409", "500", "503")
        ),
        Stop("admin", "/admin/"),
        Stop("admin-users", "/admin/auth/user/"),
        Stop("admin-user-add", "/admin/auth/user/add/"),
        Stop("admin-user", "/admin/auth/user/2/change/"),
        Stop("admin-user-refused", "/admin/auth/user/add/", then=_save_nothing),
        Stop("admin-user-password", "/admin/auth/user/2/password/"),
        Stop("admin-user-delete", "/admin/auth/user/2/delete/"),
        Stop("admin-user-history", "/admin/auth/user/2/history/"),
        Stop("admin-user-action", "/admin/auth/user/", then=_act("Revoke external-tasks role")),
        Stop("admin-roles", "/admin/auth/group/"),
        Stop("admin-role", "/admin/auth/group/1/change/"),
        Stop("admin-tokens", "/admin/taskmonitor/accesstoken/"),
        Stop("admin-token-action", "/admin/taskmonitor/accesstoken/", then=_act("Revoke selected tokens")),
        Stop("admin-audit", "/admin/taskmonitor/auditentry/"),
        Stop("admin-logins", f"/admin/taskmonitor/auditentry/?verb__exact={quote('logged in')}"),
        Stop("admin-audit-entry", "/admin/taskmonitor/auditentry/1/change/"),
        Stop("admin-jobs", "/admin/taskmonitor/job/"),
        Stop("admin-job", f"/admin/taskmonitor/job/{clone}/change/"),
        Stop("admin-retention", "/admin/taskmonitor/job/retention/"),
        Stop("admin-steps", "/admin/taskmonitor/step/"),
        Stop("admin-step", f"/admin/taskmonitor/step/{disk}/change/"),
        Stop("admin-events", "/admin/taskmonitor/event/"),
        Stop("admin-app", "/admin/taskmonitor/"),
    ]


def visits(stops: list[Stop], open_page: Callable[[str], Page]) -> Iterator[tuple[Stop, Page]]:
    """Go to each in turn; `open_page` gives a page of a browser in which the user has logged in."""
    pages: dict[str, Page] = {}
    for stop in stops:
        if stop.user not in pages:
            pages[stop.user] = open_page(stop.user)
        page = pages[stop.user]
        page.goto(stop.address)
        stop.then(page)
        page.wait_for_timeout(150)
        yield stop, page


def log_in(page: Page, username: str, password: str) -> None:
    page.goto("/login/")
    page.get_by_label("Name").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/jobs/")


def _log_in_wrongly(page: Page) -> None:
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    page.locator("p.problem").wait_for()


def _open_first_row(page: Page) -> None:
    page.get_by_role("row", name=re.compile("Nightly clone")).locator("a.toggle").click()
    page.locator("tr.step").first.wait_for()


def _open_menu(page: Page) -> None:
    page.locator("details.menu summary").click()


def _show_keys(page: Page) -> None:
    page.locator("body").press("?")


def _clear(page: Page) -> None:
    if page.get_by_role("button", name="Bring back").count():
        page.get_by_role("button", name="Bring back").click()
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("button", name="Undo").wait_for()


def _ask(button: str) -> Callable[[Page], None]:
    def ask(page: Page) -> None:
        page.get_by_role("link", name=button).first.click()
        page.get_by_role("dialog").wait_for()

    return ask


def _shown(site: Site, template: str) -> Callable[[Page], None]:
    """What the server says when it cannot do better, which no address can be made to say."""
    html = site.manage("shell", "-v0", "-c", SHOWN.format(template))

    def show(page: Page) -> None:
        page.route("**/shown/", lambda route: route.fulfill(body=html, content_type="text/html"))
        page.goto("/shown/")

    return show


def _make_token(page: Page) -> None:
    if page.get_by_text("nightly", exact=True).count():
        return
    page.get_by_label("Name").fill("nightly")
    page.get_by_role("button", name="Make token").click()
    page.locator("#secret").wait_for()


def _end_nothing(page: Page) -> None:
    page.get_by_label("Current password").fill("correct horse battery")
    page.get_by_role("button", name="End those ticked").click()
    page.locator("p.problem").wait_for()


def _save_nothing(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()
    page.locator(".errornote").wait_for()


def _act(action: str) -> Callable[[Page], None]:
    def act(page: Page) -> None:
        page.locator("input.action-select").first.check()
        page.locator("select[name=action]").select_option(label=action)
        page.get_by_role("button", name="Go", exact=True).click()
        page.get_by_role("link", name="No, take me back").wait_for()

    return act
