"""The lines of the log: what each of them is about, and how it is written.

A line is one event, whatever stands in the texts of users: their control characters are escaped.
"""

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

Facts = dict[str, Any]
ABSENT = (None, "")

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_about: ContextVar[Facts | None] = ContextVar("about", default=None)


@contextmanager
def about(facts: Facts) -> Iterator[None]:
    """Within it each line of this thread carries the facts, such as `request_id`, `user` or `job_id`."""
    token = _about.set(facts)
    try:
        yield
    finally:
        _about.reset(token)


def known() -> Facts:
    """What the lines of this thread are about now."""
    return _about.get() or {}


def note(**facts: Any) -> None:
    """Add to what the lines from here on are about; nothing if they are about nothing."""
    present = _about.get()
    if present is not None:
        present.update(facts)


class _Line(logging.Formatter):
    def facts(self, record: logging.LogRecord) -> Facts:
        """What the line is about. Django writes its own of a request after that is over, but with the request."""
        present = known() or getattr(getattr(record, "request", None), "facts", {})
        return {**present, **getattr(record, "facts", {})}

    def trace(self, record: logging.LogRecord) -> str:
        found = self.formatException(record.exc_info) if record.exc_info else record.exc_text or ""
        return f"{found}\n{record.stack_info}" if record.stack_info else found


class PlainLine(_Line):
    """Time, level, logger, message, and what it is about as name=value. A trace follows in indented lines."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_time(record)} {record.levelname} {record.name} {_escaped(record.getMessage())}"
        for name, value in self.facts(record).items():
            if value not in ABSENT:
                line += f" {name}={_escaped(str(value))}"
        if record.exc_info or record.exc_text or record.stack_info:
            line += "".join(f"\n    {_escaped(each)}" for each in self.trace(record).split("\n"))
        return line


class JsonLine(_Line):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **{name: value for name, value in self.facts(record).items() if value not in ABSENT},
        }
        if trace := self.trace(record):
            told["trace"] = trace
        return json.dumps(told, default=str)


def _time(record: logging.LogRecord) -> str:
    """ISO 8601 in UTC with milliseconds."""
    second, millisecond = divmod(round(record.created * 1000), 1000)
    return f"{_second(second)}.{millisecond:03d}Z"


@lru_cache(maxsize=2)
def _second(since_1970: int) -> str:
    return datetime.fromtimestamp(since_1970, UTC).isoformat()[:-6]


def _escaped(text: str) -> str:
    return text if text.isprintable() else _CONTROL.sub(_escape, text)


def _escape(sign: re.Match[str]) -> str:
    code = ord(sign[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
