"""What a user may do, asked of the database anew for each request."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime

from django.contrib.auth.models import Group, Permission, User
from django.db.models import Q

from taskmonitor.errors import NotFound
from taskmonitor.models import AccessToken, Actor, Right, Session
from taskmonitor.models.access import digest, session_digest
from taskmonitor.statements import Prepared

_TOKEN = Prepared(lambda digest: AccessToken.objects.filter(digest=digest).select_related("user"))
_RIGHTS = Prepared(
    lambda user: (
        Permission.objects.filter(Q(user=user) | Q(group__user=user), content_type__app_label="taskmonitor")
        .order_by()
        .values_list("codename")
    )
)


def actor(user: User, *, scope: str | None = None) -> Actor:
    """The user with the rights that hold now, cut down to the `scope` of the token they came with."""
    rights: Iterable[str] = Right
    if not user.is_superuser:
        rights = [codename for (codename,) in _RIGHTS.rows(user.pk)]
    return Actor(user_id=user.pk, name=user.get_username(), rights=frozenset(rights) - _withheld(scope))


def session_actors(keys: Collection[str], now: datetime) -> dict[str, Actor]:
    """Those of the sessions that last, by their keys, each with its user as they may now: in two queries."""
    lasting = Session.objects.filter(pk__in=keys, expire_date__gt=now, user__is_active=True)
    rows = list(lasting.values_list("pk", "user_id", "user__username", "user__is_superuser"))
    rights = _rights_of({user_id for _, user_id, _, _ in rows})
    return {
        key: Actor(user_id, name, frozenset(Right) if is_superuser else frozenset(rights[user_id]))
        for key, user_id, name, is_superuser in rows
    }


def own_token(token_id: int, actor: Actor) -> AccessToken:
    """The actor's own named token; NotFound for anybody else's."""
    token = AccessToken.objects.filter(pk=token_id, user=actor.user_id).exclude(name="").first()
    if token is None:
        raise NotFound("Token", token_id)
    return token


def _rights_of(user_ids: set[int]) -> dict[int, set[str]]:
    ours = Permission.objects.filter(content_type__app_label="taskmonitor").order_by()
    own = ours.filter(user__in=user_ids).values_list("user", "codename")
    by_role = ours.filter(group__user__in=user_ids).values_list("group__user", "codename")
    rights: dict[int, set[str]] = defaultdict(set)
    for user_id, codename in own.union(by_role):
        rights[user_id].add(codename)
    return rights


def above(manager: User, users: Iterable[User]) -> list[User]:
    """Those of the users who may something that the manager may not, or may once their account is active again."""
    if manager.is_superuser:
        return []
    held = _permissions(manager)
    return [user for user in users if user.is_superuser or not _permissions(user) <= held]


def carries_more(group: Group, manager: User) -> bool:
    """Whether the group's members may something that the manager may not."""
    if manager.is_superuser:
        return False
    return not set(group.permissions.values_list("pk", flat=True)) <= _permissions(manager)


def _permissions(user: User) -> set[int]:
    """The keys of all permissions that the user has by themselves or by a group; a superuser's are not among them."""
    held = Permission.objects.filter(Q(user=user) | Q(group__user=user))
    return set(held.values_list("pk", flat=True))


def valid_token(secret: str, now: datetime) -> AccessToken | None:
    """The token with that secret and its user; None if it is unknown or expired, or its user disabled."""
    return _valid(digest(secret), now)


def valid_session(secret: str, now: datetime) -> AccessToken | None:
    """The same of a session of an oVirt client; nothing is asked for an empty secret."""
    return _valid(session_digest(secret), now) if secret else None


def _valid(digest: str, now: datetime) -> AccessToken | None:
    token = _TOKEN.first(digest)
    if token is None or (token.expires and token.expires <= now) or not token.user.is_active:
        return None
    return token


def _withheld(scope: str | None) -> frozenset[str]:
    if scope is None:
        return frozenset()
    words = scope.split()
    return frozenset(
        right for word, rights in AccessToken.SCOPES.items() if word not in words for right in rights
    )
