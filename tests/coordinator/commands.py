"""Commands that tests run; what they do is seen in `LOG`, in this process."""

from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from coordinator.command import RUNNING, Answer, Command, Failed, Succeeded, WaitFor
from coordinator.registry import register
from taskmonitor.errors import Invalid

LOG: list[str] = []


class Word(BaseModel):
    word: str = "hello"
    fail_in: str = ""
    times: int = 0


class Length(BaseModel):
    letters: int


class Logging(Command[Word, Length]):
    """Write down what is called, and fail where it is asked to."""

    def note(self, method: str) -> None:
        LOG.append(f"{method} {self.parameters.word}")
        if self.parameters.fail_in == method:
            raise RuntimeError(f"no {method}")

    def validate(self) -> None:
        if self.parameters.word == "bad":
            raise Invalid("word", "is bad.")

    def execute(self) -> Any:
        self.note("execute")
        return Length(letters=len(self.parameters.word))


@register()
class Plain(Logging):
    """Say a word."""


@register(monitored=False)
class Quiet(Logging):
    """Say a word that nobody is shown."""


@register()
class Ending(Logging):
    """Say a word, and end with a method."""

    def end_successfully(self) -> None:
        self.note("end_successfully")

    def end_with_failure(self) -> None:
        self.note("end_with_failure")


@register(end_attempts=1000)
class Struggling(Ending):
    """Say a word, and end with a method that is tried again and again."""


@register()
class Polled(Ending):
    """Poll until it was polled `times` times."""

    polls = 0

    def execute(self) -> Any:
        self.note("execute")

    def poll(self) -> Answer:
        self.note("poll")
        Polled.polls += 1
        if self.parameters.fail_in == "answer":
            return Failed("it went wrong")
        return Succeeded(Length(letters=Polled.polls)) if Polled.polls >= self.parameters.times else RUNNING


@register()
class Family(Ending):
    """Have `times` children say words, the second failing as asked."""

    def execute(self) -> Any:
        self.note("execute")
        for number in range(self.parameters.times):
            fails = self.parameters.fail_in == "child" and number == 1
            self.add_child(Plain, Word(word=f"child{number}", fail_in="execute" if fails else ""))


@register()
class Series(Ending):
    """Have `times` children say words, one after the other."""

    def execute(self) -> Any:
        self.note("execute")

    def perform_next_operation(self, completed: int) -> bool:
        self.note(f"operation{completed}")
        if completed == self.parameters.times:
            return False
        fails = self.parameters.fail_in == "child" and completed == 1
        self.add_child(Plain, Word(word=f"child{completed}", fail_in="execute" if fails else ""))
        return True

    def handle_failure(self) -> None:
        self.note("handle_failure")


@register(resumable=True)
class Resumable(Logging):
    """Do three things, each once."""

    def execute(self) -> Any:
        for number in range(self.saved or 0, 3):
            self.note(f"part{number}")
            self.checkpoint(number + 1)
        return Length(letters=3)


@register()
class Waiting(Ending):
    """Wait for an event."""

    def execute(self) -> Any:
        self.note("execute")
        return WaitFor("news", timeout=timedelta(minutes=1))

    def on_event(self, data: Any) -> Answer:
        self.note(f"event {data}")
        return Succeeded(Length(letters=len(data)))
