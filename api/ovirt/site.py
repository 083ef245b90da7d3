"""What oVirt's clients ask about the site itself: the root document, capabilities, users."""

from django.contrib.auth.models import User
from rest_framework.request import Request
from rest_framework.response import Response

from api.ovirt.links import link, reference, user_href
from api.ovirt.views import OvirtView
from api.values import written
from api.wire import Document, Members
from taskmonitor.errors import NotFound
from taskmonitor.lifecycle import Status
from taskmonitor.models import Job, Right, StepType
from taskmonitor.selectors import jobs as selected
from taskmonitor.version import VERSION

SPOKEN = {"major": 4, "minor": 5, "build": 0, "revision": 0}  # of the oVirt API that is spoken


class Root(OvirtView):
    """Where everything begins."""

    def get(self, request: Request) -> Response:
        """The collections, the product, the time, and who asks."""
        base = self.wire.base
        asker = reference(user_href(base, request.user.pk), request.user.pk)
        return Response(
            Document(
                "api",
                {
                    "link": [link(base, name) for name in self.collections()],
                    "product_info": {
                        "name": "Task Monitor",
                        "vendor": "Task Monitor",
                        "version": self.version(),
                        **({} if self.as_engine else {"release": VERSION}),
                    },
                    "summary": {"jobs": {"total": self.seen()}},
                    "time": self.now,
                    "authenticated_user": asker,
                    "effective_user": asker,
                },
            )
        )

    def collections(self) -> tuple[str, ...]:
        return ("capabilities", *(() if self.as_engine else ("commands",)), "jobs", "users")

    def seen(self) -> int:
        """How many jobs the caller sees, counted up to 10 000."""
        return selected.listed(self.actor).order_by()[:10_000].count()

    def version(self) -> Members:
        if self.wire.dialect == "v3":
            return {f"@{name}": number for name, number in SPOKEN.items()}
        return {**SPOKEN, "full_version": ".".join(str(number) for number in SPOKEN.values())}


class Capabilities(OvirtView):
    """What can be said here."""

    def get(self, request: Request) -> Response:
        """The version, the values of types and statuses, and the commands that can be run."""
        spelled = str if not self.as_engine else str.lower
        version: Members = {
            "@major": SPOKEN["major"],
            "@minor": SPOKEN["minor"],
            "step_types": {"step_type": [spelled(value) for value in StepType.values]},
            "job_statuses": {"job_status": [spelled(value) for value in Status.values]},
            "step_statuses": {"step_status": [spelled(value) for value in Status.values]},
            "permits": {
                "permit": [{"id": codename, "name": name} for codename, name in Job._meta.permissions]
            },
        }
        return Response(
            Document("capabilities", {"version": [version], "commands": {"command": self.commands()}})
        )

    def commands(self) -> list[Members]:
        from coordinator.capabilities import capabilities  # which loads all commands

        return [
            {
                "name": one.name,
                "description": one.description,
                "monitored": one.monitored,
                "resumable": one.resumable,
                "permissions": {"permission": [one.right]},
                "parameters": written(one.parameters, json=self.wire.json),
                "result": written(one.result, json=self.wire.json),
            }
            for one in capabilities()
        ]


class Users(OvirtView):
    """The users that the caller may know of: all for who sees all jobs, else oneself."""

    def get(self, request: Request) -> Response:
        """List users."""
        found = User.objects.order_by("pk")
        if not self.actor.may(Right.VIEW_ALL):
            found = found.filter(username=request.user.get_username())
        return Response(Document("users", {"user": [self.user(user) for user in found[: self.whole("max")]]}))


class OneUser(Users):
    """One user."""

    def get(self, request: Request, user_id: int) -> Response:  # type: ignore[override]
        """Read a user."""
        user: User | None = User.objects.filter(pk=user_id).first()
        if user is None or not (self.actor.may(Right.VIEW_ALL) or user.pk == request.user.pk):
            raise NotFound("User", user_id)
        return Response(Document("user", self.user(user)))
