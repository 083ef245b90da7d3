"""What is secret in parameters, results and other values of commands: stored as it is, shown to nobody."""

import json
import re
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, Secret, SecretBytes, SecretStr

HIDDEN = "***"
_SECRETS = (SecretStr, SecretBytes, Secret)
_WORDS = re.compile("[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_TELLING = re.compile(
    "pass(word|wd|phrase)s?|pwd|secrets?|tokens?|(api)?keys?|credentials?|authorization|cookies?"
)


def stored(model: BaseModel) -> str:
    """The model as JSON from which it can be read again, with its secrets; pydantic's own masks them."""
    values = model.model_dump()
    if not _has_secret(values):
        return model.model_dump_json()
    return json.dumps(_replaced(model.model_dump(mode="json"), values, _revealed), ensure_ascii=False)


def shown(model: BaseModel) -> Any:
    """The model as JSON knows it, with `***` for what is secret by its type or by its name."""
    return hidden_by_name(_replaced(model.model_dump(mode="json"), model.model_dump(), lambda secret: HIDDEN))


def hidden_by_name(value: Any) -> Any:
    """The JSON value, with `***` for whatever stands under a name such as `password` or `api_key`."""
    if isinstance(value, dict):
        return {
            key: wholly_hidden(member) if _is_telling(key) else hidden_by_name(member)
            for key, member in value.items()
        }
    return [hidden_by_name(one) for one in value] if isinstance(value, list) else value


def wholly_hidden(value: Any) -> Any:
    """The JSON value with `***` for every part of it: of what cannot be rebuilt nobody knows what is secret."""
    if isinstance(value, dict):
        return {key: wholly_hidden(member) for key, member in value.items()}
    if isinstance(value, list):
        return [wholly_hidden(one) for one in value]
    return HIDDEN


def _is_telling(name: str) -> bool:
    return any(_TELLING.fullmatch(word.lower()) for word in _WORDS.findall(name))


def _has_secret(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_secret, value.values()))
    if isinstance(value, list | tuple | set | frozenset):
        return any(map(_has_secret, value))
    return isinstance(value, _SECRETS)


def _replaced(written: Any, value: Any, by: Callable[[Any], Any]) -> Any:
    """What JSON makes of `value`, with something else for each secret in it."""
    if isinstance(value, _SECRETS):
        return by(value)
    if isinstance(value, dict) and isinstance(written, dict):
        pairs = zip(written.items(), value.values(), strict=True)
        return {key: _replaced(member, inner, by) for (key, member), inner in pairs}
    if isinstance(value, list | tuple | set | frozenset) and isinstance(written, list):
        return [_replaced(member, inner, by) for member, inner in zip(written, value, strict=True)]
    return written


def _revealed(secret: Any) -> Any:
    value = secret.get_secret_value()
    return value.decode() if isinstance(value, bytes) else value
