"""What is secret is stored as it is, and shown to nobody."""

import logging
from typing import Any

import pytest
from pydantic import BaseModel, Secret, SecretBytes, SecretStr

from coordinator.command import Command
from coordinator.models import CommandEntity
from coordinator.rebuild import rebuild, shown_parameters, shown_result
from coordinator.registry import register
from coordinator.secrets import hidden_by_name, shown, stored
from tests.coordinator.conftest import Engine


class Login(BaseModel):
    pin: SecretStr
    name: str = "me"


class Logins(BaseModel):
    pin: SecretStr
    password: str = "plain"
    several: list[SecretBytes] = []
    by_number: dict[int, Login] = {}
    pair: tuple[int, SecretStr] = (1, SecretStr("t"))
    number: Secret[int] = Secret(5)
    share: float = 0.5


@register()
class LogIn(Command[Logins, Login]):
    """Log in with secrets."""

    def execute(self) -> Any:
        return Login(pin=self.parameters.pin)


LOGINS = Logins(pin="ünseen1", several=[b"unseen2"], by_number={3: Login(pin="unseen3")})  # type: ignore[arg-type]


def test_what_is_stored_has_the_secrets_and_can_be_read_again() -> None:
    assert Logins.model_validate_json(stored(LOGINS)) == LOGINS
    assert "ünseen1" in stored(LOGINS)


def test_what_is_shown_has_none() -> None:
    assert shown(LOGINS) == {
        "pin": "***",
        "password": "***",
        "several": ["***"],
        "by_number": {"3": {"pin": "***", "name": "me"}},
        "pair": [1, "***"],
        "number": "***",
        "share": 0.5,
    }


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [
        ("password", True), ("db_password", True), ("Passphrase", True), ("apiKey", True), ("API_KEY", True),
        ("accessToken", True), ("client-secret", True), ("credentials", True), ("Authorization", True),
        ("keyboard", False), ("monkey", False), ("tokenizer", False), ("name", False), ("author", False),
    ],
)  # fmt: skip
def test_names_tell_of_secrets(name: str, is_secret: bool) -> None:
    assert (hidden_by_name({name: "x"}) == {name: "***"}) == is_secret
    assert (hidden_by_name([{name: {"y": ["x"]}}]) == [{name: {"y": ["***"]}}]) == is_secret


def test_a_command_gets_its_secrets_back_and_logs_none(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    handle = engine.submit(LogIn, pin="unseen")
    assert rebuild(engine.row(handle)).parameters == Logins(pin=SecretStr("unseen"))
    engine.turn()
    assert handle.result() == Login(pin=SecretStr("unseen"))
    row = engine.row(handle)
    assert shown_result(row) == {"pin": "***", "name": "me"}
    assert shown_parameters(row)["pin"] == "***"
    assert "status=" in caplog.text
    assert "unseen" not in caplog.text


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"command_type": "Gone"}, {"pin": "***", "several": ["***"]}),
        (
            {"command_type": "LogIn", "command_parameters": '{"pin": {"odd": "1"}, "several": ["2"]}'},
            {"pin": {"odd": "***"}, "several": ["***"]},
        ),
        ({"command_type": "LogIn", "command_parameters": "{"}, "***"),
    ],
)
def test_nothing_is_shown_of_what_cannot_be_rebuilt(fields: dict[str, Any], expected: Any) -> None:
    row = CommandEntity(
        **{"command_parameters": '{"pin": "1", "several": ["2"]}', "command_params_class": "Logins", **fields}
    )
    assert shown_parameters(row) == expected
