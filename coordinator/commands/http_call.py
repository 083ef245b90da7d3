"""The command that starts an operation by HTTP and asks for its status until it ends (TASKMONITOR_HTTP_HOSTS)."""

import json
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Literal
from urllib.parse import urljoin, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, SecretStr

from coordinator.command import RUNNING, Answer, Command, Context, Failed, Running, Succeeded, WaitFor
from coordinator.commands import web
from coordinator.commands.pointer import Pointer, at
from taskmonitor.errors import Conflict, Invalid

LONGEST_WAIT = timedelta(hours=1)  # that a server may ask for
PASSING = (408, 429, 500, 502, 503, 504)  # statuses of a server that may be well the next time
OURS = ("connection", "content-length", "content-type", "host", "idempotency-key", "transfer-encoding")


def _sendable(secret: SecretStr) -> SecretStr:
    value = secret.get_secret_value()
    if len(value) > 8192 or not value.isascii() or not value.isprintable():
        raise ValueError("a header has at most 8192 letters, all of them ASCII.")
    return secret


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")]
Text = Annotated[str, Field(max_length=8192, pattern=r"^[ -~]*$")]
SecretText = Annotated[SecretStr, AfterValidator(_sendable)]
Word = str | bool | int


class Reading(BaseModel):
    """Where an answer, which is JSON, says how far the operation is; each place is a JSON pointer."""

    model_config = ConfigDict(extra="forbid")

    status: Pointer
    succeeded: list[Word] = Field(min_length=1, description="What stands there when it went well.")
    failed: list[Word] = Field(default=[], description="What stands there when it went wrong.")
    reason: Pointer | None = Field(default=None, description="Where it says why.")
    percent: Pointer | None = Field(default=None, description="Where it says how far it is.")


class Call(BaseModel):
    """The request that starts the operation, and how its answers are understood."""

    model_config = ConfigDict(extra="forbid")

    method: Literal["POST", "PUT", "PATCH", "DELETE", "GET"] = "POST"
    url: str = Field(max_length=2000)
    headers: dict[Name, Text] = Field(default={}, max_length=50)
    secret_headers: dict[Name, SecretText] = Field(
        default={}, max_length=50, description="Not shown to anybody, nor sent to another host."
    )
    body: JsonValue = None
    status_url: Pointer | None = Field(
        default=None, description="Where in the first answer its status URL stands, if not in Location."
    )
    reading: Reading | None = Field(
        default=None, description="Not given: 202 says that it goes on, another 2xx that it is done."
    )
    timeout: float = Field(default=86_400, gt=0, le=30 * 86_400, description="Seconds after which it fails.")
    repeatable: bool = Field(
        default=False, description="The server knows a repeated request by its Idempotency-Key."
    )


class Outcome(BaseModel):
    """The last answer that counts."""

    status: int
    body: JsonValue
    status_url: str | None = None  # where to ask further, while it goes on


class HttpCall(Command[Call, Outcome]):
    """Call a service by HTTP.

    The starting request has the command's id as its Idempotency-Key. It is sent once, unless the caller
    says that it may be repeated after a crash.
    """

    time_limit = timedelta(minutes=2)

    def __init__(self, command_id: Any, parameters: Call, context: Context) -> None:
        super().__init__(command_id, parameters, context)
        self.resumable = parameters.repeatable
        self.lifetime = timedelta(seconds=parameters.timeout)

    @property
    def description(self) -> str:
        return f"Call {urlsplit(self.parameters.url).hostname}"

    def validate(self) -> None:
        try:
            web.checked(self.parameters.url)
        except web.Refused as error:
            raise Invalid("url", str(error)) from None
        for name in (*self.parameters.headers, *self.parameters.secret_headers):
            if name.lower() in OURS:
                raise Invalid("headers", f"{name} is not the caller's to set.")

    def execute(self) -> WaitFor:
        """Send the request. What has ended with the first answer waits for no second one."""
        given = self.parameters
        body = None if given.body is None else json.dumps(given.body).encode()
        reply = self._ask(given.method, given.url, body)
        answer = self._understood(reply)
        if isinstance(answer, Failed):
            raise Conflict(answer.reason)
        self.result = Outcome(status=reply.status, body=_content(reply))
        if isinstance(answer, Succeeded):
            return WaitFor("status", timedelta(0))
        self.result.status_url = self._status_url(reply)
        return WaitFor("status", _wait(reply.headers) or timedelta(seconds=1))

    def poll(self) -> Answer:
        assert self.result  # noqa: S101 - `execute` ended
        if self.result.status_url is None:
            return Succeeded(self.result)
        try:
            reply = self._ask("GET", self.result.status_url)
        except web.Unreachable as error:
            self.progress(text=str(error))
            return RUNNING
        answer = RUNNING if reply.status in PASSING else self._understood(reply)
        wait = _wait(reply.headers)
        return WaitFor("status", wait) if wait and answer is RUNNING else answer

    def _ask(self, method: str, url: str, body: bytes | None = None) -> web.Reply:
        given = self.parameters
        ours = {"Accept": "application/json", **given.headers}
        if url == given.url:
            ours |= {"Idempotency-Key": str(self.command_id)}
        if body is not None:
            ours |= {"Content-Type": "application/json"}
        at_home = web.origin(url) == web.origin(given.url)
        secrets = {name: value.get_secret_value() for name, value in given.secret_headers.items()}
        return web.ask(
            method,
            url,
            headers=ours,
            secret_headers=secrets if at_home else {},
            body=body,
            seconds=given.timeout,
        )

    def _status_url(self, reply: web.Reply) -> str:
        pointer = self.parameters.status_url
        found = at(_content(reply), pointer) if pointer else reply.headers.get("Location")
        if not isinstance(found, str):
            raise Conflict("The service accepted it, and did not say where to ask for its status.")
        url = urljoin(reply.url, found)
        web.checked(url)
        return url

    def _understood(self, reply: web.Reply) -> Running | Succeeded | Failed:
        """What the answer says of the operation."""
        if not 200 <= reply.status < 300:
            return Failed(f"The service answered {reply.status}: {reply.body[:300].decode(errors='replace')}")
        content, reading = _content(reply), self.parameters.reading
        done = Succeeded(Outcome(status=reply.status, body=content))
        if reply.seen_other:
            return done  # 303: the operation is over, and here is what came of it
        if reading is None:
            return RUNNING if reply.status == 202 else done
        percent = at(content, reading.percent)
        if isinstance(percent, int | float) and 0 <= percent <= 100:
            self.progress(current=int(percent), end=100)
        status = at(content, reading.status)
        if _is_one_of(status, reading.failed):
            return Failed(str(at(content, reading.reason) or f"Its status is {status}.")[:1000])
        return done if _is_one_of(status, reading.succeeded) else RUNNING


def _is_one_of(status: Any, words: list[Word]) -> bool:
    """By value and type: for JSON, 1 is not true."""
    return any(status == word and type(status) is type(word) for word in words)


def _content(reply: web.Reply) -> Any:
    """The body as JSON, or else as text."""
    text = reply.body.decode(errors="replace")
    try:
        content = json.loads(text)
        json.dumps(content, ensure_ascii=False).encode()  # half of a surrogate pair cannot be kept
    except ValueError:
        return text or None
    return content


def _wait(headers: Message) -> timedelta | None:
    """What Retry-After says, in seconds or as a date by the server's own clock; None if it says nothing."""
    value = headers.get("Retry-After", "")
    if value.isascii() and value.isdigit():
        wait = timedelta(seconds=min(int(value), LONGEST_WAIT.total_seconds()))
    else:
        try:
            now = headers.get("Date")
            wait = parsedate_to_datetime(value) - (parsedate_to_datetime(now) if now else datetime.now(UTC))
        except (ValueError, TypeError):
            return None
    return min(max(wait, timedelta(seconds=1)), LONGEST_WAIT)
