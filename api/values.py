"""Values whose shape is known only when it runs: the parameters and results of commands, and their schemas."""

import re
from collections.abc import Mapping
from typing import Any

from api.wire import ATTRIBUTES
from taskmonitor.services.text import checked

_NAME = re.compile("[A-Za-z_][A-Za-z0-9_.-]*")
_NOTHING = (None, "")  # what XML makes of an empty element


def written(value: Any, *, json: bool) -> Any:
    """The JSON value as a document's members; in XML what no element can be called is an `entry` with a `key`."""
    if json or not isinstance(value, dict | list):
        return value
    if isinstance(value, list):
        return [written(one, json=False) for one in value]
    members = {key: written(one, json=False) for key, one in value.items() if _is_element(key, one)}
    entries = [_entry(key, one) for key, one in value.items() if key not in members]
    return members | ({"entry": entries} if entries else {})


def read(value: Any, schema: Mapping[str, Any]) -> Any:
    """What was read from XML, with lists and objects where the JSON schema has them: one element is a list of one."""
    definitions = schema.get("$defs", {})

    def fitted(value: Any, shape: Mapping[str, Any]) -> Any:
        if "$ref" in shape:
            return fitted(value, definitions.get(shape["$ref"].rpartition("/")[2], {}))
        if "anyOf" in shape:
            some = [choice for choice in shape["anyOf"] if choice.get("type") != "null"]
            may_be_null = len(some) < len(shape["anyOf"])
            return None if may_be_null and value in _NOTHING else fitted(value, some[0])
        if shape.get("type") == "array":
            several = [] if value in _NOTHING else value if isinstance(value, list) else [value]
            return [fitted(one, shape.get("items", {})) for one in several]
        if shape.get("type") == "object":
            known, other = shape.get("properties", {}), shape.get("additionalProperties")
            rest = other if isinstance(other, Mapping) else {}
            if value in _NOTHING:
                return {}
            if isinstance(value, Mapping):
                return {key: fitted(one, known.get(key, rest)) for key, one in value.items()}
        return value

    return fitted(value, schema)


def present(value: Any, schema: Mapping[str, Any]) -> Any:
    """What was read from JSON, without the members that are null where the JSON schema has no null: they are absent."""
    definitions = schema.get("$defs", {})

    def followed(shape: Mapping[str, Any]) -> Mapping[str, Any]:
        return followed(definitions.get(shape["$ref"].rpartition("/")[2], {})) if "$ref" in shape else shape

    def may_be_null(shape: Mapping[str, Any]) -> bool:
        shape = followed(shape)
        if "anyOf" in shape:
            return any(map(may_be_null, shape["anyOf"]))
        return shape["type"] == "null" if "type" in shape else None in shape.get("enum", [shape.get("const")])

    def fitted(value: Any, shape: Mapping[str, Any]) -> Any:
        shape = followed(shape)
        some = [choice for choice in shape.get("anyOf", ()) if choice.get("type") != "null"]
        if len(some) == 1:
            return fitted(value, some[0])
        if isinstance(value, list):
            return [fitted(one, shape.get("items", {})) for one in value]
        if not isinstance(value, Mapping):
            return value
        known, other = shape.get("properties", {}), shape.get("additionalProperties")
        rest = other if isinstance(other, Mapping) else {}
        return {
            key: fitted(one, known.get(key, rest))
            for key, one in value.items()
            if one is not None or may_be_null(known.get(key, rest))
        }

    return fitted(value, schema)


def kept(field: str, value: Any) -> Any:
    """The value unchanged; Invalid if it has a text, or a name, that cannot be kept."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            kept(f"{field}.{checked(field, key)[:100]}", one)
    elif isinstance(value, list):
        for one in value:
            kept(field, one)
    elif isinstance(value, str):
        checked(field, value)
    return value


def _is_element(key: str, value: Any) -> bool:
    plain = key not in ATTRIBUTES or not isinstance(value, dict | list)
    return key != "entry" and plain and _NAME.fullmatch(key) is not None


def _entry(key: str, value: Any) -> dict[str, Any]:
    inner = written(value, json=False)
    return {"@key": key, **(inner if isinstance(inner, dict) and "key" not in inner else {"value": inner})}
