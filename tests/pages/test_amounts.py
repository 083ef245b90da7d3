import pytest

from taskmonitor.models import Step
from taskmonitor.pages.amounts import Amount, amount

S = "\u202f"


@pytest.mark.parametrize(
    ("current", "end", "text", "shown"),
    [
        (None, None, "", Amount("", "", "", "")),
        (None, None, "GiB", Amount("", "", "", "GiB")),
        (30, 100, "", Amount("", "", "", "")),
        (30, 100, "%", Amount("", "", "", "")),
        (30, 100, "copies disk 2", Amount("", "", "", "copies disk 2")),
        (30, 100, "Copying", Amount("", "", "", "Copying")),
        (3, 10, "Copying", Amount("3 of 10", "3 of 10", "", "Copying")),
        (30, 100, "GiB", Amount("30 of 100", "30 of 100", "GiB", "")),
        (3, 10, "GiB", Amount("3 of 10", "3 of 10", "GiB", "")),
        (3, 10, "copies disk 2", Amount("3 of 10", "3 of 10", "", "copies disk 2")),
        (5, None, "files", Amount("5", "5", "files", "")),
        (
            1288490189,
            4 * 2**30,
            "bytes",
            Amount(
                "1.2 of 4.0 GiB",
                f"1{S}288{S}490{S}189 of 4{S}294{S}967{S}296",
                "",
                "",
            ),
        ),
        (0, 4096, "B", Amount("0.0 of 4.0 KiB", f"0 of 4{S}096", "", "")),
        (7, 900, "B", Amount("7 of 900 B", "7 of 900", "", "")),
        (1234, 56789, "", Amount(f"1{S}234 of 56{S}789", f"1{S}234 of 56{S}789", "", "")),
        (
            1_234_567,
            40_000_000,
            "rows",
            Amount("1.2 of 40.0 M", f"1{S}234{S}567 of 40{S}000{S}000", "rows", ""),
        ),
        (2**63 - 1, None, "", Amount("9.2 E", f"9{S}223{S}372{S}036{S}854{S}775{S}807", "", "")),
        (0, 0, "", Amount("0 of 0", "0 of 0", "", "")),
    ],
)
def test_numbers_are_shown_as_people_say_them(
    current: int | None, end: int | None, text: str, shown: Amount
) -> None:
    assert amount(Step(progress_current=current, progress_end=end, progress_text=text)) == shown
