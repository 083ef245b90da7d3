"""A request that is sent twice is done once."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from taskmonitor.errors import IdempotencyMismatch
from taskmonitor.models import IdempotencyRecord
from taskmonitor.services.transaction import writing


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client was told."""

    status_code: int
    headers: dict[str, str]
    body: bytes


def answer_once(
    *,
    user_id: int,
    key: str,
    fingerprint: str,
    now: datetime,
    respond: Callable[[], Answer],
    recheck: Callable[[Answer], None],
) -> Answer:
    """The answer of `respond`, whose effect is kept in one transaction with it; or the answer kept before.

    Requests with the same key wait for the first one. If that fails, its key is free again. What was kept is
    given to `recheck`, which raises NotFound if the caller may see what it shows no longer.
    IdempotencyMismatch if the key belongs to another request.
    """
    with writing():
        IdempotencyRecord.objects.bulk_create(
            [IdempotencyRecord(user_id=user_id, key=key, fingerprint=fingerprint, created=now)],
            ignore_conflicts=True,  # waits on PostgreSQL until who has the key is done
        )
        record = IdempotencyRecord.objects.select_for_update().get(user=user_id, key=key)
        if record.fingerprint != fingerprint:
            raise IdempotencyMismatch(IdempotencyMismatch.__doc__)
        if record.status_code:
            kept = Answer(record.status_code, record.headers, bytes(record.body))
            recheck(kept)
            return kept
        answer = respond()
        record.status_code, record.headers, record.body = answer.status_code, answer.headers, answer.body
        record.save(update_fields=["status_code", "headers", "body"])
        return answer
