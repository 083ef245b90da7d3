"""The built-in command RunProgram, with real programs."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.test import override_settings

from coordinator.commands import run_program, watcher
from coordinator.commands.run_program import Output, RunProgram, folder_of
from coordinator.executor import CommandFailed, Handle
from coordinator.models import CommandStatus
from coordinator.registry import register
from coordinator.testing import Worker, crash_everywhere
from coordinator.whoami import runs
from taskmonitor.errors import Invalid
from taskmonitor.models import Job, Step
from tests.live import Site, running_site, start, wait_for_address
from tests.processes.eyes import alive, children, eventually, web_and_cluster

register()(RunProgram)


@pytest.fixture(autouse=True)
def programs(settings: Any, tmp_path: Path) -> None:
    settings.DATA = tmp_path
    settings.PROGRAMS = {"sh": "/bin/sh", "gone": "/bin/gone", "python": sys.executable}


@pytest.fixture
def worker(db: None) -> Iterator[Worker]:
    worker = Worker()
    yield worker
    for folder in running():
        watcher.stop(folder)


def running() -> list[Path]:
    return [folder for folder in folder_of(UUID(int=0)).parent.glob("*") if watcher.is_watched(folder)]


def script(text: str, **more: Any) -> dict[str, Any]:
    return {"program": "sh", "arguments": ["-c", text], **more}


def until_done(worker: Worker, handle: Handle) -> None:
    """Passes, an hour of the worker's for a moment of the program's, until the command has ended."""

    def over() -> bool:
        worker.turn(11)
        return handle.done()

    eventually(over)


def watcher_of(handle: Handle) -> int:
    """Its process id."""
    name = (folder_of(handle.command_id) / "watcher").read_text()
    return int(name.rsplit("/", 2)[1])


def parent(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def test_its_exit_code_and_the_end_of_its_output_are_the_result(worker: Worker) -> None:
    handle = worker.submit(RunProgram, **script("echo one; echo two >&2"))
    until_done(worker, handle)
    assert handle.result() == Output(exit_code=0, output="one\ntwo\n")
    step = Job.objects.get().steps.get(type="EXECUTING")
    assert (step.description, step.progress_text) == ("Run sh", "one\ntwo\n")
    assert not folder_of(handle.command_id).exists()


@pytest.mark.parametrize(
    ("body", "words"),
    [("echo begun; echo the disk is full >&2; exit 3", "the disk is full"), ("exit 3", "It said nothing.")],
)
def test_another_exit_code_fails_it_with_its_last_words(worker: Worker, body: str, words: str) -> None:
    handle = worker.submit(RunProgram, **script(body))
    until_done(worker, handle)
    with pytest.raises(CommandFailed, match=rf"^{words} \(exit code 3\)$"):
        handle.result()
    assert not folder_of(handle.command_id).exists()


def test_it_gets_its_arguments_as_they_are_and_nothing_of_the_sites_environment(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "of the site")
    tell = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]))"
    given = ["$HOME; rm -rf *", "a b", ""]
    handle = worker.submit(
        RunProgram, program="python", arguments=["-c", tell, *given], environment={"TASK_COLOUR": "red"}
    )
    folder = folder_of(handle.command_id) / "work"
    until_done(worker, handle)
    result = handle.result()
    assert isinstance(result, Output)
    arguments, environment, place = json.loads(result.output)
    assert arguments == given
    assert environment.pop("TASK_COLOUR") == "red"
    assert set(environment) <= {*watcher.PASSED_ON, "LC_CTYPE"}
    assert place == str(folder)


def test_only_the_end_of_much_output_is_kept(worker: Worker) -> None:
    handle = worker.submit(
        RunProgram, program="python", arguments=["-c", "print('x' * 5_000_000); print('end')"]
    )
    until_done(worker, handle)
    result = handle.result()
    assert isinstance(result, Output)
    assert len(result.output) == watcher.MOST_OUTPUT
    assert result.output.endswith("x\nend\n")


def test_output_that_is_no_text_is_shown_as_far_as_it_is(worker: Worker) -> None:
    handle = worker.submit(RunProgram, **script(r"printf 'a\000b\033[31m\377'"))
    until_done(worker, handle)
    assert handle.result() == Output(exit_code=0, output="a\0b\x1b[31m\ufffd")
    assert Step.objects.get(type="EXECUTING").progress_text == "a\ufffdb\ufffd[31m\ufffd"


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"program": "rm"}, "program"),
        (script("true", environment={"LD_PRELOAD": "evil.so"}), "parameters.environment.LD_PRELOAD.[key]"),
        (script("true", environment={"TASK_A": "\0"}), "environment"),
        (script("tr\0ue"), "parameters.arguments.1"),
        (script("true", seconds=10**9), "parameters.seconds"),
        (script("true", folder="/"), "parameters.folder"),
    ],
)
def test_what_is_not_allowed_is_refused(worker: Worker, parameters: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        worker.submit(RunProgram, **parameters)
    assert refusal.value.field == field


def test_a_program_that_cannot_be_started_fails_it(worker: Worker) -> None:
    handle = worker.submit(RunProgram, program="gone")
    until_done(worker, handle)
    assert worker.row(handle).error == "It cannot be started: No such file or directory. (exit code 127)"


def test_it_is_ended_after_its_time(worker: Worker) -> None:
    handle = worker.submit(RunProgram, **script("sleep 60", seconds=0.3))
    until_done(worker, handle)
    assert worker.row(handle).error == "It took longer than 0.3 s. (exit code -15)"


def test_it_can_be_stopped_and_what_ignores_that_is_killed(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = worker.submit(RunProgram, **script("trap '' TERM; echo deaf; while :; do sleep 0.1; done"))
    worker.turn()
    folder = folder_of(handle.command_id)
    eventually(lambda: "deaf" in watcher.output(folder))
    [program] = children(watcher_of(handle))
    run_program.stop(handle.command_id)
    assert alive(program)
    ended = eventually(lambda: watcher.ended(folder), seconds=watcher.GRACE + 5)
    assert ended == watcher.Ended(code=-9, why="It was stopped.")
    assert not alive(program)
    until_done(worker, handle)
    assert worker.row(handle).error == "It was stopped. (exit code -9)"


def test_a_command_that_expires_stops_its_program(worker: Worker) -> None:
    handle = worker.submit(RunProgram, **script("sleep 60"))
    worker.turn()
    [program] = eventually(lambda: children(watcher_of(handle)))
    worker.turn(RunProgram.lifetime.total_seconds() + 1)
    assert handle.status == CommandStatus.FAILED
    eventually(lambda: not alive(program))
    until_done(worker, handle)
    assert "longer than" in worker.row(handle).error
    assert not folder_of(handle.command_id).exists()


def test_no_program_outlives_its_watcher(worker: Worker) -> None:
    handle = worker.submit(RunProgram, **script("sleep 60"))
    worker.turn()
    [program] = eventually(lambda: children(watcher_of(handle)))
    os.kill(watcher_of(handle), signal.SIGKILL)
    eventually(lambda: not alive(program))
    until_done(worker, handle)
    assert worker.row(handle).error == "Its watcher was killed, and the program with it."


FAMILY = """
import os, signal, sys, time
def member(name):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with open(name, "x") as file:
        file.write(str(os.getpid()))
    while True:
        time.sleep(60)
if not os.fork():
    member("child")
if not os.fork():
    os.setsid()
    member("leader")
if not os.fork():
    os.setsid()
    if os.fork():
        os._exit(0)
    os.closerange(0, 64)
    if not os.fork():
        os.setpgid(0, 0)
        member("grandchild")
    member("daemon")
NAMES = ["child", "leader", "daemon", "grandchild"]
while not all(os.path.exists(name) and os.stat(name).st_size for name in NAMES):
    time.sleep(0.01)
print("all are there", flush=True)
"""
WAIT = "time.sleep(60)"


def family(worker: Worker, rest: str = "", **more: Any) -> tuple[Handle, list[int]]:
    """A program that leaves processes behind, in every way that there is, and then does the rest; their ids."""
    handle = worker.submit(RunProgram, program="python", arguments=["-c", FAMILY + rest], **more)
    worker.turn()
    folder = folder_of(handle.command_id)
    eventually(lambda: "all are there" in watcher.output(folder))
    return handle, [
        int((folder / "work" / name).read_text()) for name in ("child", "leader", "daemon", "grandchild")
    ]


@pytest.mark.parametrize(
    ("rest", "error"),
    [("", ""), ("sys.exit(3)", "all are there (exit code 3)"), ("os.kill(os.getpid(), 9)", "(exit code -9)")],
)
def test_what_a_program_started_ends_with_it(worker: Worker, rest: str, error: str) -> None:
    handle, members = family(worker, rest)
    eventually(lambda: watcher.ended(folder_of(handle.command_id)))
    assert not any(map(alive, members))
    until_done(worker, handle)
    assert worker.row(handle).error.endswith(error)


def test_what_a_program_started_ends_when_its_time_is_over(worker: Worker) -> None:
    handle, members = family(worker, WAIT, seconds=3)
    assert all(map(alive, members))
    until_done(worker, handle)
    assert worker.row(handle).error == "It took longer than 3 s. (exit code -15)"
    assert not any(map(alive, members))


def test_what_a_program_started_ends_when_it_is_stopped(worker: Worker) -> None:
    handle, members = family(worker, WAIT)
    run_program.stop(handle.command_id)
    until_done(worker, handle)
    assert worker.row(handle).error == "It was stopped. (exit code -15)"
    assert not any(map(alive, members))


@pytest.mark.parametrize("victim", ["watcher", "guard"])
def test_what_a_program_started_ends_with_its_watcher(worker: Worker, victim: str) -> None:
    handle, members = family(worker, WAIT)
    process = watcher_of(handle)
    if victim == "guard":
        process = parent(process)
    os.kill(process, signal.SIGKILL)
    eventually(lambda: not any(map(alive, members)))
    until_done(worker, handle)
    assert "It was stopped" in worker.row(handle).error or "was killed" in worker.row(handle).error


def test_processes_that_a_program_lets_go_of_are_buried_while_it_runs(worker: Worker) -> None:
    leave = "(sh -c 'sleep 0.01 & exit') & "
    handle = worker.submit(RunProgram, **script(f"{leave * 30} wait; echo left; sleep 60"))
    worker.turn()
    eventually(lambda: "left" in watcher.output(folder_of(handle.command_id)))
    eventually(lambda: len(children(watcher_of(handle))) == 1, seconds=3 * watcher.TICK + 5)


def test_nothing_is_left_of_a_watcher(worker: Worker) -> None:
    handle = worker.submit(RunProgram, **script("sleep 0.5"))
    worker.turn()
    process = watcher_of(handle)
    guard = parent(process)
    assert alive(guard)
    until_done(worker, handle)
    eventually(lambda: not alive(process) and not alive(guard))


def test_one_that_runs_on_another_machine_is_waited_for(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = worker.submit(RunProgram, **script("sleep 60"))
    worker.turn()
    monkeypatch.setattr(run_program, "machine", lambda: "elsewhere/1/2")
    folder = folder_of(handle.command_id)
    folder.rename(folder.with_suffix(".there"))
    worker.turn(11)
    assert handle.status == CommandStatus.ACTIVE
    folder.with_suffix(".there").rename(folder)


@pytest.mark.parametrize("kill_at", ["after-checkpoint", "before-execute"], ids=["not started", "started"])
def test_what_a_worker_died_at_is_left_to_its_machine(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill_at: str
) -> None:
    log = tmp_path / "log"
    handle = worker.submit(RunProgram, **script(f"echo >>{log}"))
    worker.turn(kill_at=kill_at)
    with override_settings(DATA=tmp_path / "elsewhere"), monkeypatch.context() as patch:
        patch.setattr(run_program, "machine", lambda: "elsewhere/1/2")
        for _ in range(5):
            worker.turn(20)
        row = worker.row(handle)
        assert (row.status, row.attempts, row.error) == (CommandStatus.ACTIVE, 2, "")
        assert not folder_of(handle.command_id).exists()
    until_done(worker, handle)
    assert handle.status == CommandStatus.ENDED_SUCCESSFULLY
    assert log.read_text() == "\n"


def test_a_watcher_on_another_machine_is_known_by_its_signs_of_life(tmp_path: Path) -> None:
    record = tmp_path / "watcher"
    assert not watcher.is_watched(tmp_path)
    record.write_text("elsewhere/12ab/34/5/6")
    assert watcher.is_watched(tmp_path)
    silent = time.time() - watcher.SILENCE - 1
    os.utime(record, (silent, silent))
    assert not watcher.is_watched(tmp_path)


def test_a_program_runs_once_however_often_it_is_started(tmp_path: Path) -> None:
    log = tmp_path / "log"
    starts = [
        watcher.start(tmp_path / "one", ["/bin/sh", "-c", f"echo >>{log}"], environment={}, seconds=9)
        for _ in range(4)
    ]
    eventually(lambda: watcher.ended(tmp_path / "one"))
    assert len(starts) == 4
    assert log.read_text() == "\n"


@pytest.mark.mission("S93")
def test_killed_at_every_commit_the_program_runs_once(db: None, tmp_path: Path) -> None:
    """The log has a line for each command that there was."""
    log = tmp_path / "log"
    ended: list[Handle] = []
    passed = crash_everywhere(RunProgram, check=ended.append, **script(f"echo >>{log}"))
    assert passed[:4] == ["before-begin", "after-begin", "before-checkpoint", "after-checkpoint"]
    assert {handle.status for handle in ended} == {CommandStatus.ENDED_SUCCESSFULLY}
    assert len(log.read_text()) == len(ended) == len(passed) + 1


@register(time_limit=timedelta(seconds=2), monitored=False)
class Hasty(RunProgram):
    """Run a program, and be bounded more than it is."""

    def execute(self) -> None:
        super().execute()
        time.sleep(60)


def test_the_time_limit_of_a_call_does_not_reach_the_program(worker: Worker) -> None:
    handle = worker.submit(Hasty, **script("trap '' TERM; sleep 60"))
    begin = time.monotonic()
    worker.turn()
    assert time.monotonic() - begin < 30
    assert handle.status == CommandStatus.FAILED
    assert "TookTooLong" in worker.row(handle).error
    assert runs((folder_of(handle.command_id) / "watcher").read_text())


SUBMIT = """
from django.utils import timezone
from coordinator.executor import execute_async
program = {{"program": "sh", "arguments": ["-c", {script!r}]}}
print(execute_async("RunProgram", program, now=timezone.now()).command_id)
"""
RESULT = """
from uuid import UUID
from coordinator.executor import Handle
print(Handle(UUID({command!r})).result(timeout=90).model_dump_json())
"""


def shell(site: Site, program: str) -> str:
    return site.manage("shell", "-v", "0", "-c", program).strip()


@pytest.mark.mission("S93")
@pytest.mark.parametrize("victim", ["workers", "cluster", "all"])
def test_a_killed_worker_finds_the_program_again(tmp_path: Path, victim: str) -> None:
    log, go, data = tmp_path / "log", tmp_path / "go", tmp_path / "data"
    text = f"echo begun >>{log}; while [ ! -e {go} ]; do sleep 0.1; done; echo ended >>{log}; echo well"
    with running_site(data, TASKMONITOR_PROGRAMS="sh=/bin/sh") as site:
        _, cluster = web_and_cluster(site)
        command = shell(site, SUBMIT.format(script=text))
        eventually(log.exists)
        folder = data / "programs" / command
        watched_by = (folder / "watcher").read_text()
        for pid in {"workers": children(cluster), "cluster": [cluster], "all": [site.process.pid]}[victim]:
            os.kill(pid, signal.SIGKILL)
        with went_on(site):
            time.sleep(1)
            assert runs(watched_by)
            go.touch()
            assert json.loads(shell(site, RESULT.format(command=command))) == {
                "exit_code": 0,
                "output": "well\n",
            }
    assert log.read_text() == "begun\nended\n"
    assert not folder.exists()


@contextmanager
def went_on(site: Site) -> Iterator[None]:
    """The site, started again if it was killed as a whole."""
    try:
        site.must_end_with = site.process.wait(1)
    except subprocess.TimeoutExpired:
        yield
        return
    again = start(site.data, **site.environment)
    try:
        wait_for_address(site.data, again)
        yield
    finally:
        again.terminate()
        again.wait()
