"""manage.py demo: a believable site, injected into a running instance over REST."""

import json
import random
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from taskmonitor.models import AccessToken, Role
from taskmonitor.selectors.access import actor
from taskmonitor.services.access import add_token, revoke_token

JOBS = 200
TOKEN = "demo"  # noqa: S105 - the token's name
PLUGINS = ("backup-plugin", "ansible", "ci-runner", "provisioner")
WORK: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "Nightly backup of {}",
        "vm",
        ("freeze file systems", "snapshot disks", "copy volume a", "copy volume b", "thaw"),
    ),
    ("Clone {}", "vm", ("check quota", "copy disk 1", "copy disk 2", "register")),
    ("Rebuild {}", "vm", ("check image", "stop", "copy volumes", "start")),
    ("Move disk of {} to ds-9", "disk", ("reserve space", "mirror blocks", "switch over")),
    ("Upgrade host {}", "host", ("drain", "install packages", "reboot", "activate")),
    ("Deploy release 4.2 to {}", "service", ("build", "unit tests", "push image", "roll out", "smoke test")),
    ("Renew certificate of {}", "service", ("request", "install", "reload")),
    ("Index refresh of {}", "database", ("analyze", "rebuild indexes")),
)
REASONS = (
    "No space left on datastore ds-7",
    "Connection reset by host hv-3",
    "Exit status 2",
    "Timed out after 300 s",
)
NAMES = (
    "web-01",
    "web-02",
    "db-01",
    "db-02",
    "mail",
    "git",
    "cache-1",
    "cache-2",
    "hv-1",
    "hv-3",
    "search",
    "queue",
)


class Command(BaseCommand):
    help = f"Fill a running instance over REST with {JOBS} jobs of every state, and one that goes on until ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--url",
            default=f"http://{settings.HOST_IN_URL}:{settings.PORT}/api",
            help="of its API, with /api",
        )
        parser.add_argument("--seed", type=int, default=1, help="for the same site again")
        parser.add_argument(
            "--once", action="store_true", help="let the live job run through quickly, and stop"
        )

    def handle(self, *args: Any, url: str, seed: int, once: bool, **options: Any) -> None:
        plugins: list[Plugin] = []
        chance = random.Random(seed)  # noqa: S311 - a made-up site, not a secret
        try:
            urlopen(f"{url}/openapi.json").close()  # noqa: S310 - the operator's own URL
            plugins += [Plugin(url, name) for name in PLUGINS]
            for count in range(1, JOBS):
                inject(chance.choice(plugins), chance)
                if count % 50 == 0:
                    self.stdout.write(f"{count} jobs")
            self.stdout.write(f"{JOBS} jobs; the last one goes on. See {url.removesuffix('/api')}/jobs/")
            replicate(plugins[0], pause=0.05 if once else 2)
            while not once:
                replicate(plugins[0], pause=2)
        except KeyboardInterrupt:
            self.stdout.write("The live job is left to its heartbeat limit.")
        except HTTPError as problem:
            words = problem.read().decode(errors="replace")
            raise CommandError(
                f"{problem.url} answers {problem.code}: {words}\nIs TASKMONITOR_DATA that of the running site?"
            ) from None
        except URLError as problem:
            raise CommandError(
                f"{url} does not answer ({problem.reason}); start it with `make run`."
            ) from None
        finally:
            for plugin in plugins:
                plugin.leave()


class Plugin:
    """A user with the inject role, who speaks REST with a token."""

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        user, _ = User.objects.get_or_create(username=name, defaults={"password": "!"})
        user.groups.add(Group.objects.get(name=Role.INJECTOR))
        self.actor = actor(user)
        AccessToken.objects.filter(user=user, name=TOKEN).delete()
        self.token, self.secret = add_token(
            user_id=user.pk, name=TOKEN, scope=["inject"], expires=None, actor=self.actor, now=timezone.now()
        )

    def post(self, path: str, body: Any) -> Any:
        """The answer to a POST of an object, or of lines."""
        lines = isinstance(body, list)
        data = "\n".join(map(json.dumps, body)) if lines else json.dumps(body)
        headers = {
            "Authorization": f"Bearer {self.secret}",
            "Content-Type": "application/x-ndjson" if lines else "application/json",
            "Accept": "application/json",
        }
        with urlopen(Request(self.url + path, data.encode(), headers)) as answer:  # noqa: S310 - the operator's own URL
            text = answer.read().decode()
        return [json.loads(line) for line in text.splitlines()] if lines else json.loads(text)

    def leave(self) -> None:
        revoke_token(token_id=self.token.pk, actor=self.actor, now=timezone.now())


def inject(plugin: Plugin, chance: random.Random) -> None:
    """One job in some state, with steps in one of some shapes."""
    title, kind, names = chance.choice(WORK)
    target = chance.choice(NAMES)
    fate = chance.choices(
        ("FINISHED", "warning", "FAILED", "ABORTED", "running", "lost"), weights=(60, 8, 12, 5, 11, 4)
    )[0]
    job = plugin.post(
        "/jobs",
        {
            "description": title.format(target),
            "entities": [{"type": kind, "id": target}],
            "heartbeat_limit": 1 if fate == "lost" else None,
        },
    )
    path = f"/jobs/{job['id']}"
    plugin.post(f"{path}/batch", list(report(names, fate, chance)))
    if fate in ("FINISHED", "FAILED", "ABORTED", "warning"):
        reason = {"FAILED": chance.choice(REASONS), "ABORTED": "Stopped by the operator on call"}.get(
            fate, ""
        )
        plugin.post(f"{path}/end", {"status": "FINISHED" if fate == "warning" else fate, "reason": reason})


def report(names: tuple[str, ...], fate: str, chance: random.Random) -> Iterator[dict[str, Any]]:
    """The lines that report a job's steps: three phases, the work in the middle one, at times deep or wide."""
    yield {"op": "add_step", "description": "Validating", "type": "VALIDATING", "status": "FINISHED"}
    yield {"op": "add_step", "ref": "work", "description": "Executing", "type": "EXECUTING"}
    last = len(names) - 1 if fate in ("FINISHED", "warning") else chance.randrange(len(names))
    for number, name in enumerate(names[: last + 1]):
        ref, ending = f"step {number}", {"status": "FINISHED", "reason": ""}
        yield {"op": "add_step", "ref": ref, "parent_step": "work", "description": name, "type": "EXECUTING"}
        yield from beneath(ref, chance)
        if number == last and fate in ("running", "lost"):
            yield {"op": "progress", "step": ref, "current": chance.randrange(100), "end": 100, "text": "GiB"}
            return
        if (number == last and fate in ("FAILED", "ABORTED")) or (number == 0 and fate == "warning"):
            ending = {
                "status": "ABORTED" if fate == "ABORTED" else "FAILED",
                "reason": chance.choice(REASONS),
            }
        yield {"op": "end_step", "step": ref, **ending}
    yield {"op": "end_step", "step": "work", "succeeded": fate not in ("FAILED", "ABORTED")}
    if fate in ("FINISHED", "warning"):
        yield {"op": "add_step", "description": "Finalizing", "type": "FINALIZING", "status": "FINISHED"}


def beneath(ref: str, chance: random.Random) -> Iterator[dict[str, Any]]:
    """Sub-steps under one step: mostly none, at times many, at times a deep chain."""
    shape = chance.choices(("none", "wide", "deep"), weights=(88, 8, 4))[0]
    if shape == "wide":
        for block in range(chance.randrange(5, 70)):
            yield {
                "op": "add_step",
                "parent_step": ref,
                "description": f"block {block}",
                "type": "EXECUTING",
                "status": "FINISHED",
            }
    if shape == "deep":
        for level in range(chance.randrange(3, 12)):
            inner = f"{ref} {level}"
            yield {
                "op": "add_step",
                "ref": inner,
                "parent_step": ref,
                "description": f"layer {level}",
                "type": "EXECUTING",
            }
            ref = inner


def replicate(plugin: Plugin, pause: float) -> None:
    """A job that progresses every `pause` seconds until it is done, or somebody else has ended it."""
    try:
        copy_volumes(plugin, pause)
    except HTTPError as problem:
        if problem.code != 409:
            raise


def copy_volumes(plugin: Plugin, pause: float) -> None:
    job = plugin.post(
        "/jobs",
        {
            "description": "Replicate ds-7 to the second site",
            "heartbeat_limit": 60,
            "entities": [{"type": "datastore", "id": "ds-7"}],
        },
    )
    path = f"/jobs/{job['id']}"
    for volume in range(1, 6):
        step = plugin.post(f"{path}/steps", {"description": f"volume {volume}", "type": "EXECUTING"})
        for percent in range(0, 101, 10):
            plugin.post(f"{path}/steps/{step['id']}/progress", {"current": percent, "end": 100})
            done = (volume - 1) * 100 + percent
            plugin.post(f"{path}/progress", {"current": done, "end": 500, "text": f"volume {volume} of 5"})
            time.sleep(pause)
        plugin.post(f"{path}/steps/{step['id']}/end", {"succeeded": True})
    plugin.post(f"{path}/end", {"succeeded": True})
