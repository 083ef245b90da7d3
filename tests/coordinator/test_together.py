"""Many commands that are polled cost little more than one: they fall due together."""

from datetime import timedelta

import pytest
from django.utils import timezone

from coordinator.engine.worker import TOGETHER, _due


@pytest.mark.parametrize("delay", [1, 2, 4, 8, 10])
def test_polls_that_are_due_about_the_same_time_are_due_at_once(delay: int) -> None:
    slot = timedelta(seconds=delay * TOGETHER)
    now = timezone.now()
    dues = [_due(now + slot * part / 100, delay) for part in range(100)]
    assert len(set(dues)) <= 2
    assert all(slot * 19 <= due - now <= slot * 21 for due in dues)


def test_who_is_polled_a_little_late_falls_due_in_time_again() -> None:
    due = _due(timezone.now(), 10)
    assert _due(due + timedelta(milliseconds=400), 10) == due + timedelta(seconds=10)
