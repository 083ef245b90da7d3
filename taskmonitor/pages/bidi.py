"""Texts of users beside our own words: whatever directions they ask for, ours stay in their order.

In HTML `<bdi>` isolates a text, elsewhere (attributes, titles, messages) two characters do. A text that has such
characters itself could end either, so that those in it are made to match.
"""

FIRST_STRONG, POP = "\u2068", "\u2069"
OPENING = "\u2066\u2067\u2068"


def matched(text: object) -> str:
    """The text without ends of isolates that it has not begun, and with those of all that it has."""
    kept, depth = [], 0
    for character in str(text):
        if character in OPENING:
            depth += 1
        elif character == POP:
            if not depth:
                continue
            depth -= 1
        kept.append(character)
    return "".join(kept) + POP * depth


def isolated(text: object) -> str:
    """The text for a place that is no HTML; ASCII runs from left to right by itself."""
    written = str(text)
    return written if written.isascii() else f"{FIRST_STRONG}{matched(written)}{POP}"
