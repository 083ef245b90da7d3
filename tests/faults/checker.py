"""States each breach of what is promised of commands (docs/reliability.md), out of what a run left behind.

It knows the commands of `commands.py`, and nothing of the coordinator: neither its models nor its automaton.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from tests.faults.evidence import Evidence, Row

RANK = {
    "NOT_STARTED": 0,
    "ACTIVE": 1,
    "SUCCEEDED": 2,
    "FAILED": 3,
    "FAILED_RESTARTED": 3,
    "HELD": 4,
    "UNKNOWN": 5,
    "ENDED_SUCCESSFULLY": 5,
    "ENDED_WITH_FAILURE": 5,
}
NEXT = {  # what may be seen after it, at once or later
    "SUCCEEDED": {"FAILED", "HELD", "ENDED_SUCCESSFULLY", "ENDED_WITH_FAILURE"},
    "FAILED": {"HELD", "ENDED_WITH_FAILURE"},
    "FAILED_RESTARTED": {"HELD", "ENDED_WITH_FAILURE"},
    "HELD": {"UNKNOWN"},
    "UNKNOWN": set(),
    "ENDED_SUCCESSFULLY": set(),
    "ENDED_WITH_FAILURE": set(),
}
ENDED = {"ENDED_SUCCESSFULLY", "ENDED_WITH_FAILURE"}
WORK_ENDED = {"FINISHED", "FAILED", "ABORTED"}
FAMILIES = {"faults.Family", "faults.Adopting", "faults.Series", "faults.Early"}
RESUMABLE = "faults.Resumable"
UNKNOWN_HERE = "faults.Vanished"
SET_ASIDE = "set aside by hand"  # the error of a row that a test made HELD
WITH_END = {
    f"faults.{name}" for name in ("Ending", "Polled", "Family", "Adopting", "Series", "Early", "Waiting")
}
CUT_OFF = "A restart cut it off"
DIED = "Its process ended with"
BY_HAND = "marked it failed"


@dataclass(frozen=True)
class Faults:
    """What was done to the run."""

    tears: int = 0  # times that something was killed, stopped or cut off while it worked
    workers: int = 1  # bodies that one of these can have torn
    clock_set: bool = False  # so that times say little


def breaches(evidence: Evidence, faults: Faults) -> list[str]:
    """One line for each; none if all is as promised. The faults must be over, and all commands too."""
    effects: dict[str, list[str]] = defaultdict(list)
    for line in evidence.effects:
        effects[line["id"]].append(line["what"])
    removed = {line["id"] for line in evidence.told if line["told"] == "removing"}
    found = [f"I6 damaged: {line}" for line in evidence.damage]
    found += _lost(evidence, effects, removed)
    found += _torn(evidence, faults)
    for row in evidence.commands.values():
        about = f"{row['command_type']} {row['command_id']} ({row['status']})"
        for check in (_twice, _outcome, _ends):
            found += [
                f"I2 {about} {what}" for what in check(row, effects[row["command_id"]], evidence, faults)
            ]
        found += [f"I4 {about} {what}" for what in _unended(row)]
        found += [f"I6 {about} {what}" for what in _orphaned(row, evidence)]
        if not faults.clock_set:
            found += [f"I3 {about} {what}" for what in _out_of_time(row, evidence)]
    found += [
        f"I6 effects of {key}, which is not stored"
        for key in effects.keys() - evidence.commands.keys() - removed
    ]
    return [*found, *_families(evidence), *_monitor(evidence, faults)]


def unscheduled(evidence: Evidence) -> list[str]:
    """At any moment: no command that is not over may have neither a lease nor a time when it is due."""
    return [
        f"I4 {row['command_id']} ({row['status']}) is never looked at again"
        for row in evidence.commands.values()
        if row["status"] not in ENDED | {"HELD", "UNKNOWN"} and row["due_at"] is None
    ]


def _lost(evidence: Evidence, effects: dict[str, list[str]], removed: set[str]) -> Iterator[str]:
    """I1, and I3 as clients saw it."""
    before: dict[str, Row] = {}
    for line in evidence.told:
        key, row = line["id"], evidence.commands.get(line["id"])
        if row is None and key in removed:
            continue
        if row is None:
            yield f"I1 {key} was {line['told']}, and is not stored"
        elif line["told"] == "delivered" and row["executed"] and "event news" not in effects[key]:
            yield f"I1 {key} never heard of the event that was delivered"
        elif line["told"] == "seen":
            yield from _backward(key, before.get(key), line)
            yield from _backward(key, line, row)
            before[key] = line


def _backward(key: str, before: Row | None, after: Row) -> Iterator[str]:
    if before is None:
        return
    old, new = before["status"], after["status"]
    if old != new and (RANK[new] < RANK[old] or new not in NEXT.get(old, {new})):
        yield f"I3 {key} went from {old} to {new}"
    for flag in ("executed", "callback_notified"):
        if before[flag] and not after[flag]:
            yield f"I1 {key} was {flag}, and is not any more"


def _torn(evidence: Evidence, faults: Faults) -> Iterator[str]:
    """No more commands are cut off than there were bodies under way."""
    torn = sum(row["error"].startswith(CUT_OFF) for row in evidence.commands.values())
    if torn > faults.tears * faults.workers:
        yield f"I2 {torn} commands were cut off by {faults.tears} faults"


def _twice(row: Row, effects: list[str], evidence: Evidence, faults: Faults) -> Iterator[str]:
    """Bodies that ran more often than they may."""
    done = Counter(effects)
    resumable = row["command_type"] == RESUMABLE
    if row["attempts"] > 1 + (faults.tears if resumable else 0):
        yield f"was begun {row['attempts']} times"
    if done["execute"] > 1 or (done["execute"] and not row["attempts"]):
        yield f"executed {done['execute']} times, begun {row['attempts']} times"
    if row["executed"] and done["executed"] < 1:
        yield "counts as executed, and was not"
    if done["executed"] > 1 + (faults.tears if resumable else 0):
        yield f"was executed {done['executed']} times"
    kept = -1
    for effect in effects:
        if effect.startswith("kept"):
            kept = max(kept, int(effect[4:]))
        elif effect.startswith("part") and int(effect[4:]) <= kept:
            yield f"did {effect} again after it was kept"
    for effect, times in done.items():
        allowed = 1 + _ends_to_fail(row) if effect == "end_successfully" else 1
        if effect != "poll" and times > allowed + faults.tears:
            yield f"did {effect} {times} times"
    late = [place for place, effect in enumerate(effects) if effect.startswith(("poll", "event", "end_"))]
    if late and any(effect.startswith(("execute", "part")) for effect in effects[late[0] :]):
        yield f"executed after that was recorded: {effects}"


def _outcome(row: Row, effects: list[str], evidence: Evidence, faults: Faults) -> Iterator[str]:
    """Successes and failures without a reason."""
    if row["status"] == "ENDED_SUCCESSFULLY":
        if not row["executed"]:
            yield "succeeded, and was not executed"
        if json.loads(row["return_value"] or "{}").get("of") != row["command_id"]:
            yield f"returned {str(row['return_value'])[:200]}"
    if row["status"] == "ENDED_WITH_FAILURE":
        given = json.loads(row["command_parameters"])
        children = [
            each for each in evidence.commands.values() if each["parent_command_id"] == row["command_id"]
        ]
        if not (
            given["fails"]
            or row["error"].startswith((CUT_OFF, DIED))
            or any(child["status"] in ("ENDED_WITH_FAILURE", "UNKNOWN") for child in children)
            or _ends_to_fail(row) > 1
            or BY_HAND in row["error"]
            or row["command_type"] in ("faults.Exiting", "faults.Beast")
        ):
            yield f"failed for no reason: {row['error']}"


def _ends_to_fail(row: Row) -> int:
    return (
        int(json.loads(row["command_parameters"])["times"]) if row["command_type"] == "faults.Ending" else 0
    )


def _ends(row: Row, effects: list[str], evidence: Evidence, faults: Faults) -> Iterator[str]:
    """Exactly one of the two ends is recorded, and it is the one that ran."""
    ended = row["status"] in ENDED
    if bool(row["callback_notified"]) != ended or (row["ended_at"] is not None) != ended:
        yield f"notified: {row['callback_notified']}, ended: {row['ended_at']}"
    if not ended or row["command_type"] not in WITH_END:
        return
    right, wrong = "ended_successfully", "ended_with_failure"
    if row["status"] == "ENDED_WITH_FAILURE":
        right, wrong = wrong, right
    if right not in effects:
        yield f"never {right}"
    if wrong in effects:
        yield f"also {wrong}"


def _unended(row: Row) -> Iterator[str]:
    aside = row["status"] == "HELD" and row["error"] == SET_ASIDE
    if row["status"] not in ENDED and row["command_type"] != UNKNOWN_HERE and not aside:
        yield "has not ended"
    if row["command_type"] == UNKNOWN_HERE and row["status"] not in ("NOT_STARTED", "HELD"):
        yield "is not known here, and was begun"
    if row["status"] in ENDED | {"HELD", "UNKNOWN"}:
        for held in ("due_at", "lease_until"):
            if row[held] is not None:
                yield f"is over, and has {held} {row[held]}"
        if row["worker"]:
            yield f"is over, and held by {row['worker']}"


def _orphaned(row: Row, evidence: Evidence) -> Iterator[str]:
    for link in ("parent_command_id", "root_command_id"):
        if row[link] is not None and row[link] not in evidence.commands:
            yield f"has a {link} that is not stored"
    if row["step_id"] is None:
        return
    step, job = evidence.steps.get(row["step_id"]), evidence.jobs.get(row["job_id"])
    if step is None or job is None:
        yield "is shown by what is not stored"
    elif row["status"] in ENDED:
        good = row["status"] == "ENDED_SUCCESSFULLY"
        if step["status"] not in WORK_ENDED:
            yield f"has a step {step['status']}"
        elif good and step["status"] != "FINISHED":
            yield f"succeeded, and its step {step['status']}"
        if row["owns_job"] and job["status"] != ("FINISHED" if good else "FAILED"):
            yield f"has a job {job['status']}"


def _out_of_time(row: Row, evidence: Evidence) -> Iterator[str]:
    times = [row[name] for name in ("created_at", "started_at", "ended_at") if row[name] is not None]
    if times != sorted(times):
        yield f"has times out of order: {times}"
    parent = evidence.commands.get(row["parent_command_id"])
    if parent is not None and row["created_at"] < parent["created_at"]:
        yield "is older than its parent"
    if (
        parent is not None
        and parent["ended_at"] is not None
        and (row["ended_at"] is None or row["ended_at"] > parent["ended_at"])
    ):
        yield "outlived its parent"


def _families(evidence: Evidence) -> Iterator[str]:
    """I2: of the children that a parent has stored none is missing, and none there twice."""
    children: dict[str, list[int]] = defaultdict(list)
    for row in evidence.commands.values():
        if row["parent_command_id"] is not None:
            children[row["parent_command_id"]].append(row["position"])
    for key, row in evidence.commands.items():
        if sorted(children[key]) != list(range(row["children"])):
            yield f"I2 {key} has {row['children']} children, and these are stored: {sorted(children[key])}"
        wanted = json.loads(row["command_parameters"]).get("times", 0)
        complete = row["command_type"] not in FAMILIES or row["children"] == wanted
        if row["status"] == "ENDED_SUCCESSFULLY" and not complete:
            yield f"I2 {key} succeeded with {row['children']} children of {wanted}"


def _monitor(evidence: Evidence, faults: Faults) -> Iterator[str]:
    """I3 and I6 of jobs and steps: each goes forward, event by event, and is as its last event says."""
    status: dict[str, str] = {}
    versions: dict[str, int] = {}
    for event in evidence.events:
        key = event["step_id"] or event["job_id"]
        if event["version"] < versions.get(event["job_id"], 0):
            yield f"I3 job {event['job_id']} went back to version {event['version']}"
        versions[event["job_id"]] = event["version"]
        known = status.get(key)
        if event["verb"] == "moved" and (known in WORK_ENDED or event["old_status"] != known):
            yield f"I3 {key} went from {known} to {event['new_status']}"
        if event["verb"] in ("added", "moved"):
            status[key] = event["new_status"]
    open_steps: Counter[str] = Counter()
    for name, things in (("job", evidence.jobs), ("step", evidence.steps)):
        for key, row in things.items():
            if status.get(key) != row["status"]:
                yield f"I3 {name} {key} is {row['status']}, and its last event says {status.get(key)}"
            if (row["end_time"] is None) == (row["status"] in WORK_ENDED):
                yield f"I3 {name} {key} is {row['status']} and ended at {row['end_time']}"
            elif row["end_time"] and row["end_time"] < row["start_time"] and not faults.clock_set:
                yield f"I3 {name} {key} ended before it started"
            if name == "step" and row["status"] == "STARTED":
                open_steps[row["job_id"]] += 1
    for key, job in evidence.jobs.items():
        if job["status"] in WORK_ENDED and open_steps[key]:
            yield f"I3 job {key} is {job['status']} with {open_steps[key]} open steps"
        if job["steps_open"] != open_steps[key]:
            yield f"I6 job {key} counts {job['steps_open']} open steps, and has {open_steps[key]}"
