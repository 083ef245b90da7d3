"""Which steps caused the failure of a job, kept with each change under the lock of the job's row.

1. A step that is ended as FAILED, or added as FAILED, is a cause, unless a step beneath it FAILED before.
2. A step that was closed because its job or a step above it ended is none. Nor is an ABORTED one.
3. A step that fails later beneath a cause takes that one's place.
4. Causes are numbered in the order in which they failed, from 0; the job's `first_cause` has the number 0.
5. A job that FAILED without any cause is its own, with its own reason.
"""

from typing import Any

from django.db import connection

from taskmonitor.lifecycle import Status
from taskmonitor.models import Step
from taskmonitor.statements import executed

_FAILED_BENEATH = """
    WITH RECURSIVE beneath(id, status) AS (
        SELECT id, status FROM taskmonitor_step WHERE parent_step_id = %s
        UNION ALL
        SELECT step.id, step.status FROM taskmonitor_step AS step JOIN beneath ON step.parent_step_id = beneath.id
    )
    SELECT 1 FROM beneath WHERE status = %s LIMIT 1
"""
_NEAREST_FAILED = """
    WITH RECURSIVE above(id, parent_step_id, status, depth) AS (
        SELECT id, parent_step_id, status, depth FROM taskmonitor_step WHERE id = %s
        UNION ALL
        SELECT step.id, step.parent_step_id, step.status, step.depth
        FROM taskmonitor_step AS step JOIN above ON step.id = above.parent_step_id
    )
    SELECT * FROM taskmonitor_step WHERE id = (
        SELECT id FROM above WHERE status = %s ORDER BY depth DESC LIMIT 1
    )
"""


def blame(step: Step, causes: int) -> dict[str, Any]:
    """What changes in the row of the job, which has so many causes, when the step becomes FAILED.

    The number that the step gets is set as its `cause`, for the caller to write. The first failure of a job
    takes no query, each later one two at most.
    """
    if causes:
        if not step._state.adding and _failed_beneath(step):
            return {}
        above = _nearest_failed(step)
        if above is not None and above.cause is not None:
            step.cause = above.cause
            above.change(cause=None)
            return {} if step.cause else {"first_cause_id": step.pk}
    step.cause = causes
    return {"causes": causes + 1, **({} if causes else {"first_cause_id": step.pk})}


def _failed_beneath(step: Step) -> bool:
    with executed(_FAILED_BENEATH, [_key(step.pk), Status.FAILED]) as cursor:
        return cursor.fetchone() is not None


def _nearest_failed(step: Step) -> Step | None:
    if step.parent_step_id is None:
        return None
    found = Step.objects.raw(_NEAREST_FAILED, [_key(step.parent_step_id), Status.FAILED])
    return next(iter(found), None)


def _key(value: Any) -> Any:
    return Step._meta.pk.get_db_prep_value(value, connection)
