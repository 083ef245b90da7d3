"""Imported first by all processes of a ground whose clock is set: the time is the machine's, and what FAULTS_CLOCK's file adds.

Lengths of time are still the machine's, as they are when somebody sets a real clock. (Debian's libfaketime
cannot be used: it breaks Python's own `sleep`.)
"""

import os
from datetime import datetime, timedelta
from pathlib import Path

from django.utils import timezone

_real = timezone.now


def _now() -> datetime:
    return _real() + timedelta(seconds=int(Path(os.environ["FAULTS_CLOCK"]).read_text()))


timezone.now = _now
