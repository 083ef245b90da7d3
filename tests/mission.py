"""Which test proves which statement of the mission: `python -m tests.mission` writes docs/mission.md.

A test names the statements that it proves: `@pytest.mark.mission("S17")`. The marks are read from the source, so
that the answer is the same wherever some tests have to be skipped.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "mission.md"

STATEMENTS = {
    "Model": {
        "S1": "A job holds any number of steps, external and internal",
        "S2": "A step may have sub-steps, to any depth",
        "S3": "A step is an external command or a monitored internal one; both may be siblings",
        "S4": "A job's status is one of five",
        "S5": "A step's status is one of the same five",
        "S6": "A step has a type: VALIDATING, EXECUTING or FINALIZING",
        "S7": "Jobs say whether they are external",
        "S8": "Steps say whether they are external",
        "S9": "Jobs and steps can be filtered by that",
        "S10": "The flag is stored and read back, on both",
    },
    "Business logic": {
        "S11": "An internal command takes the job and the parent step to appear under",
        "S12": "Such a command appears there",
        "S13": "Without either it gets a job of its own, not external",
        "S14": "Adding an external job returns its id",
        "S15": "An external job can be ended",
        "S16": "An external step is added under a job or a step, and its id returned",
        "S17": "A step for an internal command needs one that is monitored",
        "S18": "A plug-in ends its own steps only, not those that the server watches",
    },
    "REST": {
        "S19": "POST jobs with a description adds a job",
        "S20": "Without a description it is refused, naming the field",
        "S21": "POST steps takes parent, description and status",
        "S22": "The parent is named by parentId and parentType",
        "S23": "GET jobs lists them",
        "S24": "GET of a job reads it; an unknown id is 404",
        "S25": "GET steps lists those of every depth",
        "S26": "GET of a step reads it; a step of another job is 404",
        "S27": "POST end ends a job, by status and force",
        "S28": "POST end ends a step, by type, status and force",
        "S29": "force is optional, and false if not given",
        "S30": "There is no update: PUT is 405",
    },
    "Permissions": {
        "S31": "One permission guards the commands",
        "S32": "By default superusers alone have it",
        "S33": "A role for external tasks carries it",
        "S34": "The role can be given to any user, and holds from the next request",
        "S35": "Without it each command is 403, and nothing is stored",
        "S36": "An internal command under an external job needs its own permissions too",
        "S37": "External commands need no permission on entities",
    },
    "API surface": {
        "S38": "Capabilities list the monitored commands",
        "S39": "Commands take job_id and step_id in the address",
        "S40": "Jobs and steps are mapped both ways without loss",
        "S41": "Collections have add and get, things have get and end",
        "S42": "A description for programs lists every operation, and is compared with the routes",
    },
    "Representations": {
        "S43": "<jobs> holds one <job> each",
        "S44": "A job has id and href, and the href resolves",
        "S45": "A job has its description",
        "S46": "A job has its action_type",
        "S47": "A job has its status",
        "S48": "A job has its owner: who injected it",
        "S49": "A job has its start_time",
        "S50": "A job has an end_time once it has ended",
        "S51": "A job has last_updated, which moves with the job and its steps",
        "S52": "A job says whether it is external",
        "S53": "A job says whether it is auto_cleared",
        "S54": "<steps> holds one <step> each",
        "S55": "A step has id and href, and the href resolves",
        "S56": "A step has its true parent: a job or a step",
        "S57": "A step has its description",
        "S58": "A step has its type",
        "S59": "A step has its number among its siblings, without gaps",
        "S60": "A step has its status",
        "S61": "A step has its start_time",
        "S62": "A step has an end_time once it has ended",
        "S63": "A step says whether it is external",
        "S64": "A new job takes description and auto_cleared",
        "S65": "auto_cleared decides whether the clean-up may take it",
        "S66": "A new step takes description, type and status",
        "S67": "A new sub-step takes parent_step beside",
        "S68": "A parent in another job is refused",
        "S69": "The end of a job takes status and force",
        "S70": "The end of a step takes succeeded",
        "S71": "Ending a job with force aborts its open steps",
        "S72": "Ending what has ended changes nothing and says so",
        "S73": "All of it in XML and in JSON, both ways",
    },
    "Monitor and upgrade": {
        "S74": "The monitor shows external jobs and their steps, nested",
        "S75": "A change of status is seen without a reload",
        "S76": "The upgrade adds the flags; what was there is not external",
        "S77": "The upgrade gives the permission to the admin roles that were there",
    },
    "The table of commands": {
        "S78": "A command's row is known by its id",
        "S79": "It has the command's type",
        "S80": "It has the root command, in an index of its own",
        "S81": "It has the parent command",
        "S82": "It has the parameters and their class, from which they are rebuilt",
        "S83": "It has the time at which it was made",
        "S84": "It has the status",
        "S85": "It says whether a callback is enabled",
        "S86": "It says whether that was told of the end",
        "S87": "It has what the command returned, and its class",
        "S88": "It has the job and step that show the command",
        "S89": "It says whether execute ran to its end",
        "S90": "Polled commands and all others are in this one table",
        "S91": "A task refers to its command, and holds no parameters",
        "S92": "Any command can be persisted, also beneath a parent, also with a callback",
        "S93": "A command that a restart cut off is found, rebuilt and carried on",
    },
    "Operations on commands": {
        "S94": "Whether a root has commands",
        "S95": "An entity is made and not yet stored",
        "S96": "The ids of the children",
        "S97": "The entity of an id",
        "S98": "The status of an id",
        "S99": "Exactly those whose callback is enabled",
        "S100": "An entity is persisted",
        "S101": "Its context is persisted with it",
        "S102": "A command comes back equal to what was stored",
        "S103": "One is removed",
        "S104": "A hierarchy is removed, and nothing else",
        "S105": "Those before a date are removed, and no younger ones",
        "S106": "The status is updated",
        "S107": "Executed is updated",
        "S108": "Notified is updated",
        "S109": "Saving twice leaves one row",
        "S110": "A clean-up removes old commands on a schedule, never a living one",
    },
    "Execution of commands": {
        "S111": "A submitted command runs elsewhere, and its caller has the future at once",
        "S112": "execute_async takes type, parameters and context",
        "S113": "A command has its own callback, or the base one, which does nothing",
        "S114": "executed is told once, after execute ended",
        "S115": "do_polling is called at intervals, with the children, while the command is active",
        "S116": "The callback settles the command",
        "S117": "Then the right one of on_succeeded and on_failed is called, once, also after a restart",
        "S118": "A parent waits while any child is active",
        "S119": "A child that failed, was cut off or is unknown fails its parent",
        "S120": "The parent's end action comes last; its hierarchy is removed whole",
        "S121": "A child polls its own work, is settled, and persists",
        "S122": "The parent reads what its child returned",
        "S123": "Also after a restart",
        "S124": "executed is true only if execute ran to its end",
        "S125": "An end can read that; of what is not stored it is unknown",
        "S126": "The statuses have their names",
        "S127": "All polled commands work on this store",
    },
    "Decisions where the design is silent or contradicts itself": {
        "D1": "Three dialects, the design's at /api and v4 where an engine is; requests are read leniently in all of them",
        "D2": "An end takes status or succeeded, which must not contradict; FINISHED without either",
        "D3": "Jobs and jobs are one address; hrefs are lower case",
        "D4": "A parent is named in either way, which must not contradict",
        "D5": "The owner is a link with a name; as in the engine for v3 and v4",
        "D6": "action_type is written in the design's dialect alone",
        "D7": "auto_cleared is false unless said otherwise",
        "D8": "Progress and heartbeats are resources of their own, beside what cannot be updated",
        "D9": "The status of a new step counts in the design's dialect; v3 and v4 begin it STARTED",
        "D10": "What is open beneath ends with its job; beneath a step it stays, unless forced",
        "D11": "A failed step fails its job in v3 and v4, and not in the design's dialect",
        "D12": "The same end again is 200, another one 409; nothing is added to what has ended",
        "D13": "UNKNOWN comes of a job's own limits alone, and passes with a sign of life",
        "D14": "Cleared work leaves the lists, stays reachable, and is deleted by retention",
        "D15": "What is missing is 404, always",
        "D16": "The job and step to attach to are named in either way, as query or matrix parameter",
        "D17": "Capabilities describe the commands",
        "D18": "A command has eight statuses; FAILED_RESTARTED is the one that was cut off",
        "D19": "Names of the registry are stored, and nothing in the table says what code runs",
        "D20": "Root, parent and the order among siblings are stored",
        "D22": "Age removes ended commands only",
        "D25": "Who sees what: one's own, or all with a role; the rest is 404",
    },
}
LATER = {
    "S128 to S139": "rollback by opposite commands",
    "S140 to S166": "libvirt's jobs of an entity, and their control",
    "S167 to S185": "Nova's faults, actions and tasks of an entity",
}
HEAD = """\
# The mission, and what proves it

Made from the tests by `python -m tests.mission`; a test fails when this page is stale. Five published designs are to be
united in Task Monitor. This version has the first two, oVirt's external tasks and its command coordinator: statements S1
to S127, and the decisions that belong to them.
"""


def proofs() -> dict[str, list[tuple[str, str]]]:
    """For each statement the tests that name it, as file and function, in the order of files and lines."""
    found: dict[str, list[tuple[str, str]]] = {}
    for file in sorted(TESTS.rglob("test_*.py")):
        name = str(file.relative_to(TESTS.parent))
        for test, numbers in marked(ast.parse(file.read_text()).body, set()):
            for number in numbers:
                found.setdefault(number, []).append((name, test))
    return found


def marked(body: list[ast.stmt], inherited: set[str]) -> Iterator[tuple[str, set[str]]]:
    """Each test function in the body, with the statements that it, its class or its module names."""
    for statement in body:
        if isinstance(statement, ast.Assign) and "pytestmark" in ast.unparse(statement.targets[0]):
            inherited = inherited | named(statement.value)
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            yield from marked(statement.body, inherited.union(*map(named, statement.decorator_list)))
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) and statement.name.startswith(
            "test_"
        ):
            yield statement.name, inherited.union(*map(named, statement.decorator_list))


def named(expression: ast.expr) -> set[str]:
    """The numbers given to marks in the expression, also in those of parameters."""
    return {
        argument.value
        for call in ast.walk(expression)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.mission"
        for argument in call.args
        if isinstance(argument, ast.Constant)
    }


def page() -> str:
    """The text of docs/mission.md."""
    proved = proofs()
    parts = [HEAD]
    for title, statements in STATEMENTS.items():
        parts.append(f"\n## {title}\n\n| | statement | proved by |\n|---|---|---|\n")
        parts += [
            f"| {number} | {text} | {_proved(number, proved)} |\n" for number, text in statements.items()
        ]
    parts.append("\n## Later\n\n| | |\n|---|---|\n")
    parts += [f"| {numbers} | {text} |\n" for numbers, text in LATER.items()]
    return "".join(parts)


def _proved(number: str, proved: dict[str, list[tuple[str, str]]]) -> str:
    files: dict[str, list[str]] = {}
    for file, test in proved.get(number, ()):
        files.setdefault(file, []).append(f"`{test.removeprefix('test_')}`")
    told = [
        f"[{file.removeprefix('tests/')}](../{file}): {', '.join(dict.fromkeys(tests))}"
        for file, tests in files.items()
    ]
    return "<br>".join(told)


if __name__ == "__main__":
    PAGE.write_text(page())
