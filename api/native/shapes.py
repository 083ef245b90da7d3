"""The shapes of requests and answers in the `design` dialect, as OpenAPI's schemas; `xml` says how XML differs.

They are written by hand because the representations are (docs/decisions/0005-wire.md); tests hold real
answers against them.
"""

from typing import Any

from coordinator.models import CommandStatus, ExecutionReason
from taskmonitor.lifecycle import ENDED, Status
from taskmonitor.models import StepType
from taskmonitor.services.jobs import LONGEST_HEARTBEAT
from taskmonitor.services.text import LONGEST

Schema = dict[str, Any]

KINDS = [kind for kind in StepType.values if kind != StepType.UNKNOWN]  # that a new step may have

TEXT: Schema = {"type": "string"}
DESCRIPTION: Schema = {"type": "string", "minLength": 1, "maxLength": LONGEST}
KEY: Schema = {"type": "string", "format": "uuid"}
TRUTH: Schema = {"type": "boolean"}
WHOLE: Schema = {"type": "integer", "minimum": 0}
INSTANT: Schema = {"type": "string", "format": "date-time"}


def attribute(schema: Schema = TEXT) -> Schema:
    """A member that is an attribute in XML."""
    return {**schema, "xml": {"attribute": True}}


def thing(name: str, properties: dict[str, Schema], needs: str = "", words: str = "") -> Schema:
    """An object whose element in XML is called `name`; `needs` are the names that are always there."""
    schema: Schema = {"type": "object", "xml": {"name": name}, "properties": properties}
    if words:
        schema["description"] = words
    if needs:
        schema["required"] = needs.split()
    return schema


def several(schema: Schema) -> Schema:
    """A member that is repeated in XML, and an array in JSON."""
    return {"type": "array", "items": schema}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def said(words: str, schema: Schema) -> Schema:
    """The schema with a description of what it is there."""
    return {"allOf": [schema], "description": words} if "$ref" in schema else {**schema, "description": words}


HREF = attribute(said("Its address: a path that begins as that of the request did.", TEXT))
LINK = thing("link", {"href": HREF, "rel": attribute()}, needs="href rel")
REFERENCE = {"href": HREF, "id": attribute(KEY)}
PROGRESS = {
    "current": said("How much is done, in units of the plug-in's.", WHOLE),
    "end": said("How much there is to do.", WHOLE),
    "text": said("Words beside it.", {**TEXT, "maxLength": 1000}),
}
FREE: Schema = {
    "type": "object",
    "additionalProperties": True,
    "description": "In XML lists are repeated elements; what no element can be called is an `entry` with a `key`.",
}
COMMAND = {
    **REFERENCE,
    "type": said("Its name among the capabilities.", TEXT),
    "status": ref("CommandStatus"),
}
OUTCOME = {
    "status": {
        "description": "How it ended; FINISHED if neither this nor `succeeded` is given.",
        "oneOf": [
            {"type": "string", "enum": list(ENDED)},
            thing("status", {"state": {"type": "string", "enum": list(ENDED)}}, needs="state"),
        ],
    },
    "succeeded": said("true for FINISHED, false for FAILED. It must not contradict `status`.", TRUTH),
    "reason": said("Why it ended so, for people.", {**TEXT, "maxLength": LONGEST}),
}
SCHEMAS: dict[str, Schema] = {
    "Status": {
        "type": "string",
        "enum": Status.values,
        "description": "UNKNOWN means that nothing was heard of it in time; it may come back.",
    },
    "GivenStatus": {
        "description": "A status as requests give it: flat or nested, in any letter case.",
        "oneOf": [ref("Status"), thing("status", {"state": ref("Status")}, needs="state")],
    },
    "StepType": {"type": "string", "enum": StepType.values},
    "Progress": thing("progress", PROGRESS),
    "Entity": thing(
        "entity",
        {
            "type": attribute({**TEXT, "maxLength": 50}),
            "id": attribute({**TEXT, "maxLength": 255}),
            "name": said("What people read; the id if not given.", {**TEXT, "maxLength": 255}),
        },
        needs="type id",
        words="What work is done on, by its owner's type and id.",
    ),
    "Entities": thing("entities", {"entity": several(ref("Entity"))}),
    "Actions": thing("actions", {"link": several(LINK)}),
    "Owner": thing(
        "owner",
        {"href": HREF, "id": attribute(), "name": TEXT},
        needs="href id name",
        words="In XML the name is the element's own text.",
    ),
    "Job": thing(
        "job",
        {
            **REFERENCE,
            "description": DESCRIPTION,
            "action_type": TEXT,
            "status": ref("Status"),
            "owner": ref("Owner"),
            "start_time": INSTANT,
            "end_time": said("Only once it has ended.", INSTANT),
            "last_updated": INSTANT,
            "external": said("Run and reported by a plug-in, not by the server.", TRUTH),
            "auto_cleared": said("The clean-up clears it some time after its end.", TRUTH),
            "reason": said("Why it is FAILED, ABORTED or UNKNOWN.", TEXT),
            "correlation_id": TEXT,
            "heartbeat_limit": WHOLE,
            "deadline": INSTANT,
            "progress": ref("Progress"),
            "entities": ref("Entities"),
            "steps": ref("Steps"),
            "actions": ref("Actions"),
            "link": several(LINK),
        },
        needs="href id description action_type status start_time last_updated external auto_cleared correlation_id",
    ),
    "Jobs": thing(
        "jobs",
        {
            "job": several(ref("Job")),
            "link": said("The address of the next page, if `after` was given.", several(LINK)),
        },
        needs="job",
    ),
    "Step": thing(
        "step",
        {
            **REFERENCE,
            "parent_job": thing("parent_job", REFERENCE, needs="href id"),
            "parent_step": thing("parent_step", REFERENCE, needs="href id"),
            "description": DESCRIPTION,
            "type": ref("StepType"),
            "number": said("Its place among its siblings, from 0, without gaps.", WHOLE),
            "status": ref("Status"),
            "start_time": INSTANT,
            "end_time": said("Only once it has ended.", INSTANT),
            "external": TRUTH,
            "reason": TEXT,
            "progress": ref("Progress"),
            "statistics": said("Only if it is followed; always empty.", ref("Statistics")),
            "actions": ref("Actions"),
        },
        needs="href id description type number status start_time external",
    ),
    "Steps": thing("steps", {"step": several(ref("Step"))}, needs="step"),
    "NewJob": thing(
        "job",
        {
            "description": DESCRIPTION,
            "auto_cleared": said("Whether the clean-up may clear it; false if not given.", TRUTH),
            "entities": ref("Entities"),
            "heartbeat_limit": said(
                "Seconds without a sign of life after which it is UNKNOWN.",
                {"type": "integer", "minimum": 1, "maximum": LONGEST_HEARTBEAT},
            ),
            "deadline": said("When it is UNKNOWN if it has not ended by then.", INSTANT),
        },
        needs="description",
    ),
    "NewStep": thing(
        "step",
        {
            "description": DESCRIPTION,
            "type": said("In any letter case.", {"type": "string", "enum": KINDS}),
            "status": ref("GivenStatus"),
            "reason": said(
                "Why it has that status, for people; a STARTED step has none.",
                {**TEXT, "maxLength": LONGEST},
            ),
            "parent_step": thing("parent_step", {"id": attribute(KEY)}, needs="id"),
            "parentId": said("The parent's id, in place of `parent_step`; with `parentType`.", KEY),
            "parentType": {"type": "string", "enum": ["Job", "Step"]},
        },
        needs="description type",
    ),
    "EndJob": thing(
        "action",
        {
            **OUTCOME,
            "force": said("Steps that are still open become ABORTED; the job becomes auto_cleared.", TRUTH),
        },
    ),
    "EndStep": thing(
        "action",
        {
            **OUTCOME,
            "force": said("Open steps beneath it become ABORTED.", TRUTH),
            "stepType": said("If given, it must be the step's own.", ref("StepType")),
        },
    ),
    "Empty": thing("action", {}, words="Nothing needs to be said; the body may be left out."),
    "Action": thing(
        "action",
        {
            "status": {"type": "string", "enum": ["complete"]},
            "force": TRUTH,
            "succeeded": TRUTH,
            "job": ref("Job"),
            "step": ref("Step"),
            "command": ref("Command"),
        },
        needs="status",
        words="What was done.",
    ),
    "Report": thing(
        "line",
        {
            "op": {"type": "string", "enum": ["add_step", "progress", "end_step", "heartbeat", "end_job"]},
            "ref": said("With add_step: a name of your own for the step.", TEXT),
            "step": said("With progress and end_step: the step's id, or its `ref`.", TEXT),
            "parent_step": said("With add_step: the parent's id, or its `ref`.", TEXT),
        },
        needs="op",
        words="One line of a batch. Beside `op` it has the members of the request of that kind. `ref` names a new step for later lines, which say it in place of an id.",
    ),
    "Result": thing(
        "line",
        {
            "line": {"type": "integer", "minimum": 1},
            "status": said("As HTTP has it: 200, 201 or that of the fault.", {"type": "integer"}),
            "step": ref("Step"),
            "fault": ref("Fault"),
        },
        needs="line status",
        words="What became of one line of a batch.",
    ),
    "CommandStatus": {
        "type": "string",
        "enum": CommandStatus.values,
        "description": "ENDED_SUCCESSFULLY and ENDED_WITH_FAILURE are final. HELD: it cannot be built from what is stored, and waits for that to be mended. UNKNOWN: it is over, and nobody knows what came of it.",
    },
    "NewCommand": thing(
        "command",
        {
            "type": said("Its name among the capabilities.", TEXT),
            "parameters": {**FREE, "xml": {"name": "parameters"}},
        },
        needs="type",
    ),
    "Command": thing(
        "command",
        {
            **COMMAND,
            "execution_reason": {"type": "string", "enum": ExecutionReason.values},
            "executed": said("Its work was begun and returned.", TRUTH),
            "callback_enabled": TRUTH,
            "callback_notified": said("Its end method has run.", TRUTH),
            "user": said("In whose name it runs.", ref("Owner")),
            "correlation_id": TEXT,
            "job": thing("job", REFERENCE, needs="href id", words="The job that shows it."),
            "step": thing("step", REFERENCE, needs="href id", words="The step that shows it."),
            "root_command": thing("root_command", REFERENCE, needs="href id"),
            "parent_command": thing("parent_command", REFERENCE, needs="href id"),
            "number": said("Its place among its siblings, from 0.", WHOLE),
            "created_at": INSTANT,
            "started_at": INSTANT,
            "ended_at": INSTANT,
            "attempts": said("How often its work was begun.", WHOLE),
            "polls": WHOLE,
            "end_attempts": said("How often its end method failed.", WHOLE),
            "error": said("Why it failed, or is HELD or UNKNOWN.", TEXT),
            "schedule": thing(
                "schedule",
                {
                    "due_at": said("When a worker looks at it next.", INSTANT),
                    "delay": said("Seconds between the last polls.", WHOLE),
                    "lease_until": said("Until when a worker holds it.", INSTANT),
                    "worker": TEXT,
                    "expires_at": said("When it fails if it is still active.", INSTANT),
                    "waits_for": said("The event that it waits for.", TEXT),
                },
                needs="due_at delay",
                words="Only of one that a worker will look at.",
            ),
            "parameters": said("`***` stands for what is secret.", {**FREE, "xml": {"name": "parameters"}}),
            "result": {**FREE, "xml": {"name": "result"}},
            "trace": said("Where it failed, for those who may see traces.", TEXT),
            "children": thing(
                "children",
                {
                    "total": WHOLE,
                    "command": several(thing("command", COMMAND, needs="href id type status")),
                },
                needs="total",
                words="The first of its child commands.",
            ),
            "actions": ref("Actions"),
        },
        needs="href id type status execution_reason executed created_at attempts polls",
    ),
    "Commands": thing(
        "commands",
        {
            "command": several(ref("Command")),
            "link": said("The address of the next page, if there is one.", several(LINK)),
        },
        needs="command",
        words="Of each command what a list needs; its own address has the rest.",
    ),
    "NewEvent": thing(
        "event", {"data": said("What the command is told.", {**FREE, "xml": {"name": "data"}})}
    ),
    "Operation": thing(
        "action",
        {"reason": said("Why, for the audit.", {**TEXT, "minLength": 1, "maxLength": 1000})},
        needs="reason",
    ),
    "Fault": thing(
        "fault",
        {
            "reason": said("The kind of problem, in words.", TEXT),
            "detail": said("What is wrong, and how to mend it.", {**TEXT, "minLength": 1}),
        },
        needs="reason detail",
        words="Why a request was refused; nothing of it was done.",
    ),
    "Version": thing(
        "version",
        {"major": WHOLE, "minor": WHOLE, "build": WHOLE, "revision": WHOLE, "full_version": TEXT},
        needs="major minor",
    ),
    "Api": thing(
        "api",
        {
            "link": several(LINK),
            "product_info": thing(
                "product_info",
                {
                    "name": TEXT,
                    "vendor": TEXT,
                    "version": ref("Version"),
                    "release": said("The version of Task Monitor; not in oVirt's dialects.", TEXT),
                },
            ),
            "summary": thing(
                "summary", {"jobs": thing("jobs", {"total": said("Counted up to 10 000.", WHOLE)})}
            ),
            "time": INSTANT,
            "authenticated_user": thing(
                "authenticated_user", {"href": HREF, "id": attribute()}, needs="href id"
            ),
            "effective_user": thing("effective_user", {"href": HREF, "id": attribute()}, needs="href id"),
        },
        needs="link product_info summary time",
    ),
    "Capabilities": thing(
        "capabilities",
        {
            "version": several(
                thing(
                    "version",
                    {
                        "major": attribute(WHOLE),
                        "minor": attribute(WHOLE),
                        "step_types": thing("step_types", {"step_type": several(TEXT)}),
                        "job_statuses": thing("job_statuses", {"job_status": several(TEXT)}),
                        "step_statuses": thing("step_statuses", {"step_status": several(TEXT)}),
                        "permits": thing(
                            "permits",
                            {
                                "permit": several(
                                    thing("permit", {"id": attribute(), "name": TEXT}, needs="id")
                                )
                            },
                        ),
                    },
                    needs="major minor",
                )
            ),
            "commands": thing("commands", {"command": several(ref("Capability"))}),
        },
        needs="version",
    ),
    "Capability": thing(
        "command",
        {
            "name": TEXT,
            "description": TEXT,
            "monitored": said("Shown as a job, or as a step of one.", TRUTH),
            "resumable": said("It goes on from its last checkpoint if it was cut off.", TRUTH),
            "permissions": thing("permissions", {"permission": several(TEXT)}),
            "parameters": said("The JSON schema of its parameters.", {**FREE, "xml": {"name": "parameters"}}),
            "result": said("The JSON schema of its result.", {**FREE, "xml": {"name": "result"}}),
        },
        needs="name description monitored resumable permissions parameters result",
        words="A command that can be run.",
    ),
    "User": thing(
        "user",
        {
            "href": HREF,
            "id": attribute(),
            "name": TEXT,
            "last_name": TEXT,
            "email": TEXT,
            "principal": TEXT,
            "user_name": TEXT,
        },
        needs="href id name principal user_name",
    ),
    "Users": thing("users", {"user": several(ref("User"))}, needs="user"),
    "Statistics": thing(
        "statistics",
        {"href": said("Only at an address of its own.", HREF), "statistic": several(thing("statistic", {}))},
        needs="statistic",
    ),
}
