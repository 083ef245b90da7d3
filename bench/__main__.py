"""python -m bench: measure, and print each figure beside its floors (docs/performance.md)."""

import argparse
import hashlib
import sys
import tempfile
import time
from pathlib import Path

from bench import commands, goals, inject, lists, report, restart, sleepers, start, streams, tree
from bench.databases import available
from bench.plan import Plan
from bench.report import Row

CASES = {
    **{"w1": inject, "w2": lists, "w3": tree, "w4": commands, "w4r": restart, "w5": sleepers},
    **{"w6": start, "w7": streams},
}
REFERENCE = 235  # CPU ms of the same hash on the machine that the goals were made on


def main() -> None:
    given = _arguments()
    kinds = tuple(kind for kind in available() if not given.databases or kind in given.databases.split(","))
    chosen = given.only.split(",") if given.only else list(CASES)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="bench-", dir=given.folder) as folder:
        plan = _plan(given, kinds, Path(folder))
        machine = {"hash_ms": _hash_ms()}
        for name in chosen:
            print(f"{name} ...", file=sys.stderr, flush=True)
            rows += CASES[name].run(plan)
        machine["hash_ms_after"] = _hash_ms()
    slow = sum(machine.values()) / len(machine) / REFERENCE
    print(report.text(rows, [CASES[name].TABLE for name in chosen]))
    print(f"\n{goals.text(rows)}\n\nThis machine is now {slow:.1f} times as slow as the one of the goals.")
    if given.json:
        Path(given.json).write_text(report.dumps(rows, machine))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two minutes: one short round, few sizes")
    parser.add_argument("--only", help=f"of {','.join(CASES)}")
    parser.add_argument("--rounds", type=int, help="interleaved rounds, of which the medians are shown")
    parser.add_argument("--seconds", type=float, help="of each round of W1, and of W6's rest")
    parser.add_argument("--commands", type=int, help="of each burst of W4")
    parser.add_argument("--databases", help="of sqlite,postgres; BENCH_POSTGRES names the server")
    parser.add_argument(
        "--folder", type=Path, help="where the data lies meanwhile: on the disk to be measured"
    )
    parser.add_argument("--json", help="write the figures to this file too")
    return parser.parse_args()


def _plan(given: argparse.Namespace, kinds: tuple[str, ...], folder: Path) -> Plan:
    if given.quick:
        plan = Plan(kinds, folder, 1, 2.0, (8,), (1_000, 20_000), 20, 3.0, 20, 500, 20, (1_000,), 15.0, False)
    else:
        plan = Plan(kinds, folder, 3, 5.0, (1, 8, 32), (1_000, 100_000, 1_000_000), 50, 30.0, 200)
    return plan.with_(rounds=given.rounds, seconds=given.seconds, idle=given.seconds, commands=given.commands)


def _hash_ms() -> float:
    begun = time.process_time()
    hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 1_000_000)
    return (time.process_time() - begun) * 1000


if __name__ == "__main__":
    main()
