"""Everything that can go wrong in the domain. Doors translate these; nothing here knows HTTP."""

from collections.abc import Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from math import ceil


class TaskMonitorError(Exception):
    """Something asked of Task Monitor cannot be done; the message says what, and how to mend it."""


class Invalid(TaskMonitorError):
    """A value is not acceptable. `field` is its name on the wire."""

    def __init__(self, field: str, problem: str) -> None:
        self.field = field
        super().__init__(f"{field}: {problem}")


class Missing(Invalid):
    """Required values were not given (oVirt: "Job [description] required for add")."""

    def __init__(self, kind: str, fields: Sequence[str], operation: str) -> None:
        self.field = fields[0]
        TaskMonitorError.__init__(self, f"{kind} [{', '.join(fields)}] required for {operation}")


class NotFound(TaskMonitorError):
    """There is no such thing, or the caller may not see it; the two read the same."""

    def __init__(self, kind: str, key: object) -> None:
        self.kind = kind
        super().__init__(f"{kind} {key} does not exist.")


class NotAllowed(TaskMonitorError):
    """The caller may see the thing but not do this to it. `permission` would allow it."""

    def __init__(self, permission: str) -> None:
        self.permission = permission
        super().__init__("User is not authorized to perform this action.")


class NotInScope(TaskMonitorError):
    """The token that the caller came with is not for this; one of these words in its scope would allow it."""

    def __init__(self, *words: str) -> None:
        super().__init__(f"The scope of the token lacks {' or '.join(words)}.")


class LoginRefused(TaskMonitorError):
    """The user name or password is wrong."""


class PasswordExpired(TaskMonitorError):
    """Somebody else chose this password. Log in at /login/ and choose one of your own, or ask for a token."""


class TooManyAttempts(TaskMonitorError):
    """Too many logins failed, or are tried at once; after `wait`, in seconds, the next one is looked at."""

    def __init__(self, wait: timedelta) -> None:
        self.wait = max(ceil(wait.total_seconds()), 1)
        seconds = "1 second" if self.wait == 1 else f"{self.wait} seconds"
        super().__init__(f"Too many attempts to log in. Try again in {seconds}.")


class BeingChecked(TooManyAttempts):
    """The same name and password are being checked for somebody else; `over` is done when that has ended."""

    def __init__(self, over: Future[None]) -> None:
        self.over = over
        super().__init__(timedelta(seconds=1))


class Conflict(TaskMonitorError):
    """The request is well formed but does not fit the present state."""


class TransitionError(Conflict):
    """The automaton has no such transition from the present status."""

    def __init__(self, kind: str, status: str, target: str, end_time: datetime | None = None) -> None:
        self.status, self.target = status, target
        since = f" since {end_time.isoformat(timespec='milliseconds')}" if end_time else ""
        super().__init__(f"This {kind} is {status}{since} and cannot become {target}.")


class Ended(Conflict):
    """Nothing more can be reported on what has ended."""

    def __init__(self, kind: str, status: str, end_time: datetime | None) -> None:
        since = f" since {end_time.isoformat(timespec='milliseconds')}" if end_time else ""
        super().__init__(f"This {kind} is {status}{since}; nothing more can be reported on it.")


class ParentEnded(Conflict):
    """Nothing can be added beneath what has ended."""

    def __init__(self, kind: str, status: str) -> None:
        super().__init__(f"The {kind} is {status}; steps can be added only while it is STARTED.")


class IdempotencyMismatch(Conflict):
    """The Idempotency-Key was used before for another request; use a new key."""
