"""F14: commands whose code misbehaves. Innocent ones beside them end as they should; the guilty one's reason says what it did."""

import random
import re
import time

import pytest

from tests.faults.ground import ROUNDS, SEED, Ground
from tests.processes.eyes import eventually

CRASHED = r"signal 11 \(SIGSEGV\)"
THRICE = r"3 processes ended at it, the last one with "
LATE = r"^TookTooLong: It took longer than its time_limit\."
KILLED = r"^It took longer than its time_limit, paid no heed to that, and was killed\."
WELL = ""
GUILTY = {  # what it does, and where: how its reason must be
    ("crash", "execute"): f"^Its process ended with {CRASHED} while it executed",
    ("crash", "validate"): f"^Its process ended with {CRASHED} while it executed",
    ("crash", "poll"): f"^{THRICE}{CRASHED}",
    ("crash", "end"): f"^Its end method failed: {THRICE}{CRASHED}",
    ("exit", "execute"): r"^Its process ended with exit code 0 while it executed",
    ("exit", "poll"): f"^{THRICE}exit code 0",
    ("hold_the_gil", "execute"): f"{LATE}|{KILLED}",
    ("hold_the_gil", "poll"): f"{LATE}|{KILLED}",
    ("swallow", "execute"): KILLED,
    ("swallow", "poll"): KILLED,
    ("hang", "execute"): LATE,
    ("hang", "poll"): LATE,
    ("hang", "end"): f"^Its end method failed: {LATE[1:]}",
    ("eat", "execute"): "^MemoryError",
    ("eat", "poll"): "^MemoryError",
    ("raise", "execute"): "^RuntimeError: it was to raise",
    ("raise", "poll"): "^RuntimeError: it was to raise",
    ("raise", "end"): "^Its end method failed: RuntimeError: it was to raise",
    ("raise_base", "poll"): "^SystemExit: it was to leave",
    ("fork", "execute"): WELL,
    ("leave_threads", "execute"): WELL,
    ("close", "poll"): WELL,
    ("leave_a_transaction_open", "execute"): WELL,
    ("leave_a_transaction_open", "poll"): WELL,
    ("flood", "execute"): WELL,
    ("ignore_stop", "execute"): WELL,
    ("answer 5 MB", "nowhere"): WELL,
}
INNOCENT = ("Plain", "Polled", "Resumable", "Family", "Ending")


@pytest.mark.parametrize("number", range(max(ROUNDS // 20, 1)))
def test_commands_that_misbehave_hurt_themselves_alone(ground: Ground, number: int) -> None:
    """With rounds all of them, each time in another order; in short some of each kind."""
    print(f"FAULTS_SEED={SEED}")  # noqa: T201 - pytest shows it when the test fails
    chance = random.Random(f"{SEED}/{number}")
    ways = list(GUILTY)
    chance.shuffle(ways)
    ground.up()
    guilty, innocent = {}, []
    for how, where in ways if ROUNDS else ways[:10]:
        guilty[ground.submit("faults.Beast", how=how, where=where)] = how, where
        innocent.append(ground.submit(f"faults.{chance.choice(INNOCENT)}", times=1))
        ground.tears += 3
    ground.drain(300)
    for key, way in guilty.items():
        row = ground.row(key)
        status = "ENDED_WITH_FAILURE" if GUILTY[way] else "ENDED_SUCCESSFULLY"
        assert row["status"] == status, (way, row["error"])
        assert re.search(GUILTY[way] or "^$", row["error"]), (way, row["error"])
    for key in innocent:
        row = ground.row(key)
        assert row["status"] == "ENDED_SUCCESSFULLY", (row["command_type"], row["error"])
    ground.check()
    ground.stop()


def test_what_an_operator_fails_frees_its_worker_at_once(ground: Ground) -> None:
    ground.environment["WORKERS"] = "1"
    ground.up()
    long = ground.submit("faults.Plain", seconds=60)
    eventually(lambda: ground.did(long, "execute"))
    ground.python(
        "from uuid import UUID; from coordinator.operators import mark_failed; from taskmonitor.models import SYSTEM;"
        f"mark_failed(command_id=UUID({long!r}), reason='a test', actor=SYSTEM, now=timezone.now())"
    )
    failed = time.monotonic()
    after = ground.submit("faults.Plain")
    eventually(lambda: ground.row(after)["status"] == "ENDED_SUCCESSFULLY")
    assert (
        time.monotonic() - failed < 30
    )  # it would have taken 60 s; what it takes is mostly this test's own start
    assert "marked it failed" in ground.row(long)["error"]
    ground.drain()
    ground.check()
