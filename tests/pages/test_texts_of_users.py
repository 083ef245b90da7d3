"""A text that asks to be written from right to left, or that is as long or as odd as can be, changes nothing beside it."""

import json
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from coordinator.models import CommandEntity
from taskmonitor.models import AccessToken, Entity, Event, Job, Right, Step
from taskmonitor.pages.bidi import isolated, matched
from taskmonitor.services import access
from tests.factories import make_actor
from tests.pages.conftest import Site

FSI, PDI, RLO = "\u2068", "\u2069", "\u202e"
NASTY = f"{RLO}odd"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        (f"a{PDI}b", "ab"),
        (f"a{FSI}b", f"a{FSI}b{PDI}"),
        (f"\u2067a{PDI}{PDI}b\u2066", f"\u2067a{PDI}b\u2066{PDI}"),
    ],
)
def test_a_text_cannot_end_what_isolates_it(text: str, shown: str) -> None:
    assert matched(text) == shown
    assert isolated(text) == (text if text.isascii() else f"{FSI}{shown}{PDI}")


class Bare(HTMLParser):
    """Finds the nasty text where nothing isolates it: outside `<bdi>`, or in attributes and titles without marks."""

    OWN = ("value", "data-query")  # a field of a form, and what no one reads

    def __init__(self) -> None:
        super().__init__()
        self.within: list[str] = []
        self.found = 0
        self.bare: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "link", "input", "br", "col", "img", "use", "path", "circle", "rect"):
            self.within.append(tag)
        for name, value in attributes:
            if value and NASTY in value and name not in self.OWN:
                self._see(f"{tag} {name}", value)

    def handle_endtag(self, tag: str) -> None:
        while self.within and self.within.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if NASTY not in data:
            return
        if "bdi" in self.within or "textarea" in self.within:
            self.found += 1
        else:
            self._see(" ".join(self.within), data)

    def _see(self, place: str, text: str) -> None:
        self.found += 1
        before = text[: text.index(NASTY)]
        if before.count(FSI) <= before.count(PDI):
            self.bare.append(f"{place}: {text.strip()}")


@pytest.fixture
def nasty(site: Site) -> Site:
    """The site with such a text in everything that users write."""
    Job.objects.update(
        description=NASTY, reason=NASTY, progress_text=NASTY, status="FAILED", action_type=NASTY
    )
    Step.objects.update(description=NASTY, reason=NASTY, progress_text=NASTY, progress_current=3)
    Event.objects.update(text=NASTY, actor_name=NASTY)
    site.job.entities.add(
        Entity.objects.create(type=NASTY, key="1", name=NASTY),
        through_defaults={"start_time": timezone.now()},
    )
    User.objects.update(username=NASTY)
    CommandEntity.objects.update(
        error=NASTY,
        waits_for=NASTY,
        worker=NASTY,
        correlation_id=NASTY,
        command_parameters=json.dumps({"word": NASTY}),
        trace=f"  {NASTY}",
        job_id=site.job.pk,
    )
    access.add_token(
        user_id=site.owner.pk,
        name=NASTY,
        scope=["read"],
        expires=None,
        actor=make_actor(site.owner),
        now=timezone.now(),
    )
    AccessToken.objects.update(last_used_from="192.0.2.7", last_used=timezone.now())
    return site


@pytest.mark.django_db
def test_every_text_of_users_is_isolated(nasty: Site, login: Callable[[User], Client]) -> None:
    client = login(User.objects.get())
    nasty.owner.user_permissions.set(Permission.objects.filter(codename__in=Right))
    pages = nasty.reading()
    del pages["command_workers"]  # it says how workers do, and nothing of users'
    pages["no job fits"] = f"/jobs/?text={NASTY}&search={NASTY}"
    for name, address in pages.items():
        html = client.get(address).content.decode()
        seen = Bare()
        seen.feed(html)
        assert seen.found, name
        assert not seen.bare, name
