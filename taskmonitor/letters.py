"""Letters that differ in case only, in every script that has capitals, as PostgreSQL's UPPER has them."""

import unicodedata
from collections import defaultdict
from functools import cache

_LAST = 0x1E943  # the last letter that has a capital


@cache
def in_any_case(letter: str) -> str:
    """The letter as it is spelled in any case. Those of ASCII are letters of ASCII only."""
    if letter.isascii():
        return letter if letter.lower() == letter.upper() else letter.lower() + letter.upper()
    spellings = _spellings().get(_capital(letter), "")
    return spellings if letter in spellings else letter


@cache
def apart_in_trigrams(letter: str) -> str:
    """Its spellings that SQLite's trigrams keep apart. They fold what Unicode 6.1 had, and Python can tell what 3.2 had."""
    spellings = in_any_case(letter)
    return letter if all(map(_is_old, spellings)) else spellings


@cache
def _spellings() -> dict[str, str]:
    """By its capital each letter beyond ASCII; it takes 20 ms to make."""
    spellings: dict[str, str] = defaultdict(str)
    for letter in map(chr, range(0x80, _LAST + 1)):
        capital = _capital(letter)
        is_pair = capital.lower() == letter
        if capital != letter and not capital.isascii() and (is_pair or _is_old(letter)):
            spellings[capital] = (spellings[capital] or capital) + letter
    return dict(spellings)


def _capital(letter: str) -> str:
    """One letter, whatever becomes of it in a word: ß has none, and is not SS."""
    return next((one for one in (letter.upper(), letter.title()) if len(one) == 1), letter)


def _is_old(letter: str) -> bool:
    return unicodedata.ucd_3_2_0.category(letter) != "Cn"
