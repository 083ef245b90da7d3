"""The bench holds together: what it would measure exists, and a quick look at commands stays quick."""

import argparse
import ast
from pathlib import Path

import pytest

from bench import commands, restart
from bench.__main__ import CASES, _plan
from bench.goals import GOALS
from bench.plan import Plan
from bench.systems import BASE, PEERS, SHOWN, System, Systems

QUEUES = Path(commands.__file__).parent / "queues"
LIMIT = BASE[1]


def plan(folder: Path, *, quick: bool) -> Plan:
    given = argparse.Namespace(quick=quick, rounds=None, seconds=None, commands=None)
    return _plan(given, ("sqlite",), folder)


def test_each_goal_is_one_of_a_case_that_is_measured() -> None:
    cases = {case.TABLE.case for case in CASES.values()}
    assert {goal.case for goal in GOALS} <= cases


def test_a_quick_look_has_few_commands_and_no_peers(tmp_path: Path) -> None:
    quick = plan(tmp_path, quick=True)
    assert (quick.commands, quick.peers, quick.sleepers) == (500, False, (1_000,))
    assert plan(tmp_path, quick=False).peers


@pytest.mark.parametrize("system", [*BASE, SHOWN, *PEERS], ids=lambda system: system.name)
def test_a_system_can_do_what_it_is_asked(system: System) -> None:
    tree = ast.parse((QUEUES / f"{system.module}.py").read_text())
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    needed = {"submit", "left"} | (set() if system.site else {"prepare", "work"})
    assert needed <= functions


def test_peers_are_of_a_version_that_is_named() -> None:
    assert all("==" in package for peer in PEERS for package in peer.packages)


def test_the_limit_runs_a_few_commands_and_outlives_a_kill(tmp_path: Path) -> None:
    few = plan(tmp_path, quick=True).with_(commands=20, paced=3)
    systems = Systems(few, (LIMIT,))
    with systems.running(LIMIT, "sqlite") as running:
        figures = commands.measure(running.start(), few)
    assert figures["rate"] > 0
    assert figures.keys() >= commands.TABLE.columns.keys()
    with systems.running(LIMIT, "sqlite") as running:
        figures = restart.measure(running.start(), 20)
    assert figures["never"] == figures["left"] == 0
