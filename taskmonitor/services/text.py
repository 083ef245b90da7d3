"""Which texts can be kept, on every database, and written in XML."""

import re

from taskmonitor.errors import Invalid

LONGEST = 65_536  # characters
_UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def checked(field: str, value: str, *, longest: int = LONGEST) -> str:
    """The text unchanged, or Invalid if it has a character that XML 1.0 cannot carry or is too long."""
    if len(value) > longest:
        raise Invalid(field, f"has {len(value)} characters; at most {longest} are kept.")
    found = _UNWRITABLE.search(value)
    if found:
        raise Invalid(
            field,
            f"has the character U+{ord(found[0]):04X} at position {found.start()}; leave control characters out.",
        )
    return value


def required(field: str, value: str, *, longest: int = LONGEST) -> str:
    """As `checked`, and Invalid for a blank text."""
    if not value.strip():
        raise Invalid(field, "cannot be empty.")
    return checked(field, value, longest=longest)


def printable(value: str) -> str:
    """The text with U+FFFD for each character that is not printed: for what strangers write into logs."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in value)


def legible(value: str) -> str:
    """The text with U+FFFD for each character that `checked` refuses: for what nobody can be asked to mend."""
    return _UNWRITABLE.sub("\ufffd", value)
