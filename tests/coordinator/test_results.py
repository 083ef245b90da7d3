"""What commands answer, and give to others, that cannot be kept."""

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, field_validator

from coordinator.command import RUNNING, Answer, Command, Context, Running, Succeeded
from coordinator.executor import execute_async
from coordinator.models import CommandEntity, CommandStatus
from coordinator.registry import register
from taskmonitor.errors import Invalid
from tests.coordinator.commands import LOG, Length, Plain, Word
from tests.coordinator.conftest import Engine


class Anything(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    value: Any = None


RESULTS: dict[str, Any] = {
    "text": "three",
    "another class": Word(),
    "not JSON": Anything(value=object()),
    "surrogate": Anything(value="\ud800"),
}


@register(monitored=False)
class Returning(Command[Word, Anything]):
    """Return one of RESULTS."""

    def execute(self) -> Any:
        return RESULTS[self.parameters.word]


@register(monitored=False)
class Answering(Command[Word, Anything]):
    """Answer a poll with one of RESULTS, or with what is no answer."""

    def poll(self) -> Answer:
        word = self.parameters.word
        if word == "class":
            return Running  # type: ignore[return-value]
        return Succeeded(RESULTS[word])


@register(monitored=False)
class Misgiving(Command[Word, Anything]):
    """Have a child with parameters of another command."""

    def execute(self) -> Any:
        self.add_child(Plain, Length(letters=2))


@pytest.mark.parametrize("kind", [Returning, Answering])
@pytest.mark.parametrize("result", RESULTS)
def test_a_result_that_cannot_be_kept_fails_its_command(
    engine: Engine, kind: type[Command[Any, Any]], result: str
) -> None:
    handle, after = engine.submit(kind, word=result), engine.submit(Plain)
    engine.run()
    assert (handle.status, after.status) == ("ENDED_WITH_FAILURE", "ENDED_SUCCESSFULLY")
    assert "result" in engine.row(handle).error


def test_what_is_no_answer_fails_its_command(engine: Engine) -> None:
    handle = engine.submit(Answering, word="class")
    engine.run()
    assert handle.status == CommandStatus.ENDED_WITH_FAILURE
    assert "no answer" in engine.row(handle).error
    assert RUNNING is not Running


def test_parameters_that_do_not_fit_a_child_fail_its_parent(engine: Engine) -> None:
    handle = engine.submit(Misgiving)
    engine.run()
    assert handle.status == CommandStatus.ENDED_WITH_FAILURE
    assert "Plain" in engine.row(handle).error
    assert CommandEntity.objects.count() == 1


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize(
    "parameters",
    [Word.model_construct(times="x"), Length(letters=1)],
    ids=["never validated", "of another class"],
)
def test_parameters_that_could_not_be_rebuilt_are_refused(engine: Engine, parameters: BaseModel) -> None:
    with pytest.raises(Invalid):
        execute_async(Plain, parameters, now=engine.now)
    assert not CommandEntity.objects.exists()


class LongWord(Word):
    more: str = ""


def test_parameters_of_a_subclass_are_taken_for_what_the_command_knows(engine: Engine) -> None:
    handle = execute_async(Plain, LongWord(word="four"), now=engine.now)
    engine.turn()
    assert handle.result() == Length(letters=4)


def test_parameters_that_are_changed_later_are_not_those_of_the_child(engine: Engine) -> None:
    engine.submit(Reusing)
    engine.run()
    assert LOG == ["execute first", "execute second"]


@register(monitored=False)
class Reusing(Command[Word, Word]):
    """Give two children the same parameters, with another word."""

    def execute(self) -> Any:
        word = Word(word="first")
        self.add_child(Plain, word)
        word.word = "second"
        self.add_child(Plain, word)


class Moody(BaseModel):
    mood: str = "good"

    @field_validator("mood")
    @classmethod
    def raises(cls, mood: str) -> str:
        if mood == "bad":
            raise RuntimeError("not today")
        return mood


@register(monitored=False)
class Validating(Command[Moody, Moody]):
    """Have parameters whose validation may raise anything."""


@register(monitored=False)
class Unmade(Command[Moody, Moody]):
    """Be made of good parameters only."""

    def __init__(self, command_id: Any, parameters: Moody, context: Context) -> None:
        super().__init__(command_id, parameters, context)
        if parameters.mood == "worse":
            raise SystemExit("no way")


@pytest.mark.parametrize(("kind", "mood"), [(Validating, "bad"), (Unmade, "worse")])
def test_a_command_that_cannot_be_made_again_is_set_aside_alone(
    engine: Engine, kind: type[Command[Any, Any]], mood: str
) -> None:
    handle, after = engine.submit(kind), engine.submit(Plain)
    CommandEntity.objects.filter(pk=handle.command_id).update(command_parameters=f'{{"mood":"{mood}"}}')
    engine.turn()
    assert (handle.status, after.status) == ("HELD", "ENDED_SUCCESSFULLY")


class Burning(Exception):
    def __str__(self) -> str:
        raise SystemExit("even its text")


@register(monitored=False)
class Throwing(Command[Word, Word]):
    """Raise what cannot even be named."""

    def execute(self) -> Any:
        if self.parameters.word == "deep":
            return self.execute()
        if self.parameters.word == "text":
            raise Burning
        if self.parameters.word == "long":
            raise ValueError("\0\ud800" * 1_000_000)
        raise KeyboardInterrupt


@pytest.mark.parametrize("word", ["deep", "text", "long", "interrupt"])
def test_whatever_is_raised_fails_or_sets_aside_its_command_alone(engine: Engine, word: str) -> None:
    handle, after = engine.submit(Throwing, word=word), engine.submit(Plain)
    engine.turn()
    assert handle.status in ("ENDED_WITH_FAILURE", "UNKNOWN")
    assert after.status == CommandStatus.ENDED_SUCCESSFULLY
    assert len(engine.row(handle).error) <= 10_100
