"""JSON pointers (RFC 6901)."""

from typing import Annotated, Any

from pydantic import Field

Pointer = Annotated[str, Field(max_length=200, pattern=r"^(/([^~/]|~[01])*)*$")]


def at(document: Any, pointer: str | None) -> Any:
    """What stands there; None if nothing does, or there is no pointer."""
    if pointer is None:
        return None
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict):
            document = document.get(key)
        elif isinstance(document, list) and key.isdecimal() and int(key) < len(document):
            document = document[int(key)]
        else:
            return None
    return document
