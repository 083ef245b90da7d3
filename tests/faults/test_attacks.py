"""F13: strangers who mean harm, and everybody else meanwhile: their p99, and the server's memory, are watched."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from django.templatetags.static import static

from tests.faults.attackers import ATTACKS
from tests.faults.ground import ROUNDS, in_full
from tests.live import ROOT, Site, running_site
from tests.processes.eyes import memory, web_and_cluster
from tests.processes.http import add_job, ask

LONGEST = (
    1.0 if ROUNDS else 20.0
)  # seconds that 99 of 100 requests of others take at most; `make test` is never alone
GROWTH = 100_000_000  # bytes
SECONDS = 15 if ROUNDS else 4


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("attacked")) as site:
        yield site


class Bystander:
    """A plug-in and a browser that ask in turn, and how long each answer took."""

    def __init__(self, site: Site) -> None:
        self._site, self._over = site, threading.Event()
        self._thread = threading.Thread(target=self._work)
        self.took: list[float] = []

    def _work(self) -> None:
        while not self._over.wait(0.02):
            for act in (self._add, self._list, self._page):
                begun = time.monotonic()
                act()
                self.took.append(time.monotonic() - begun)

    def _add(self) -> None:
        add_job(self._site)

    def _list(self) -> None:
        assert ask(self._site, "GET", "/api/jobs;max=20").status == 200

    def _page(self) -> None:
        assert ask(self._site, "GET", static("app.css")).status == 200

    @contextmanager
    def at_work(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._over.set()
            self._thread.join()

    @property
    def p99(self) -> float:
        return sorted(self.took)[len(self.took) * 99 // 100]


@contextmanager
def attack(site: Site, *names: str) -> Iterator[None]:
    """Within it these go on, until their time is over."""
    with ExitStack() as stack:
        for name in names:
            command = [sys.executable, "-m", "tests.faults.attackers", name, site.url, str(SECONDS)]
            stack.enter_context(subprocess.Popen(command, cwd=ROOT))
        yield


def bear(site: Site, *names: str) -> None:
    """The site bears these attacks at once."""
    web, _ = web_and_cluster(site)
    add_job(site)
    before, seen = memory(web), len(Path(site.data, "up.err").read_text())
    bystander, most = Bystander(site), 0
    with bystander.at_work(), attack(site, *names):
        for _ in range(SECONDS * 5):
            time.sleep(0.2)
            most = max(most, memory(web))
    grown = most - before
    told = f"{', '.join(names)}: {len(bystander.took)} requests of others, p99 {bystander.p99:.2f} s"
    print(f"{told}, at most {max(bystander.took):.2f} s; {grown / 1e6:.0f} MB more")  # noqa: T201 - with -s
    assert bystander.p99 < LONGEST
    assert grown < GROWTH
    assert "Traceback" not in site.log[seen:]
    assert web_and_cluster(site)[0] == web


@in_full
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_holds_up_nobody(attacked: Site, name: str) -> None:
    bear(attacked, name)


def test_all_attacks_at_once_are_borne(attacked: Site) -> None:
    bear(attacked, *ATTACKS)
