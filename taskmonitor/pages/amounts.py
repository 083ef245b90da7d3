"""How far work has come, in numbers that people can read: "1.2 of 4.0 GiB (30 %)"."""

import re
from dataclasses import dataclass

from taskmonitor.models.job import Work

UNIT = re.compile(r"\S{1,4}|\S{1,11}s")  # GiB or files; other texts tell of the work and not of the numbers
BYTES = ("B", "byte", "bytes", "Bytes")
BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
DECIMAL = ("", "", "M", "G", "T", "P", "E")  # thousands are written out
NARROW = "\u202f"  # the space between groups of digits, at which no line ends


@dataclass(frozen=True, slots=True)
class Amount:
    """The numbers that a job or step reported, and the text that came with them."""

    numbers: str  # as many digits as there is room for
    exact: str
    unit: str  # the text, if it is one and not said by `numbers`
    said: str  # the text, if it is no unit


def amount(work: Work) -> Amount:
    """How far the work is; the numbers are empty where they say no more than `percent` does."""
    current, end, text = work.progress_current, work.progress_end, work.progress_text
    is_unit = current is not None and UNIT.fullmatch(text) is not None
    said = "" if is_unit else text
    if current is None or (end == 100 and (said or text in ("", "%"))):
        return Amount("", "", "", said)
    given = [current] if end is None else [current, end]
    in_bytes = is_unit and text in BYTES
    return Amount(
        numbers=_short(given, 1024, BINARY) if in_bytes else _short(given, 1000, DECIMAL),
        exact=" of ".join(map(_grouped, given)),
        unit=text if is_unit and not in_bytes else "",
        said=said,
    )


def _short(numbers: list[int], step: int, units: tuple[str, ...]) -> str:
    """The numbers in the largest of the units that the last one fills."""
    power = max((n for n in range(len(units)) if units[n] and numbers[-1] >= step**n), default=0)
    written = [f"{number / step**power:.1f}" if power else _grouped(number) for number in numbers]
    return f"{' of '.join(written)} {units[power]}".strip()


def _grouped(number: int) -> str:
    return f"{number:,}".replace(",", NARROW)
