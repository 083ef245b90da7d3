"""How lines of the log are written: one for each event, whatever users have put into it."""

import json
import logging
from typing import Any

import pytest

from taskmonitor import logs

FORGED = "web-01\n2026-11-29T12:00:00.000Z INFO taskmonitor.services.login Login accepted\x1b[2K\u2028\x9b\r"
TIME = 1_796_000_000.1234


def record(message: str, *values: object, **fields: Any) -> logging.LogRecord:
    made = logging.makeLogRecord(
        {"name": "x.y", "levelname": "INFO", "msg": message, "args": values, **fields}
    )
    made.created = TIME
    return made


def failure() -> Any:
    try:
        raise ValueError(FORGED)
    except ValueError as error:
        return type(error), error, error.__traceback__


def plain(made: logging.LogRecord) -> str:
    return logs.PlainLine().format(made)


def test_a_plain_line_has_time_level_logger_message_and_what_it_is_about() -> None:
    with logs.about({"request_id": "r-1", "address": "", "job_id": None}):
        logs.note(user="admin")
        line = plain(record("Step id=%s", 7, facts={"status": 201}))
    assert line == "2026-11-30T00:53:20.123Z INFO x.y Step id=7 request_id=r-1 user=admin status=201"
    assert plain(record("ö")) == "2026-11-30T00:53:20.123Z INFO x.y ö"


def test_what_users_say_begins_no_line() -> None:
    with logs.about({"user": FORGED}):
        line = plain(record("Login refused %s", FORGED))
    assert len(line.splitlines()) == 1
    assert line.isprintable()
    assert "web-01\\x0a2026" in line


def test_a_trace_follows_indented_and_begins_no_line_either() -> None:
    first, *trace = plain(record("It failed", exc_info=failure())).split("\n")
    assert first.endswith("It failed")
    assert trace[0] == "    Traceback (most recent call last):"
    assert all(line.startswith("    ") and line.isprintable() for line in trace)


def test_a_json_line_is_one_object_with_the_trace_as_a_field() -> None:
    with logs.about({"request_id": "r-1", "job_id": None}):
        line = logs.JsonLine().format(record("It failed: %s", FORGED, exc_info=failure()))
    assert len(line.splitlines()) == 1
    told = json.loads(line)
    assert told.pop("trace").startswith("Traceback (most recent call last):\n")
    assert told == {
        "time": "2026-11-30T00:53:20.123Z",
        "level": "INFO",
        "logger": "x.y",
        "message": f"It failed: {FORGED}",
        "request_id": "r-1",
    }


def test_what_one_is_about_ends_with_it() -> None:
    with logs.about({"command_id": "outer"}):
        with logs.about({"command_id": "inner"}), pytest.raises(ValueError, match="x"):
            raise ValueError("x")
        assert logs.known() == {"command_id": "outer"}
    assert logs.known() == {}
    logs.note(user="nobody")
    assert logs.known() == {}
