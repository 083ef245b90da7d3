"""What stands behind the question mark of a page's address."""

from uuid import UUID

from django.http import Http404, HttpRequest


def number(request: HttpRequest, name: str, default: int) -> int:
    """The whole number, from 0 on, that is given as `name`; no such page if it is anything else."""
    given = request.GET.get(name)
    if given is None:
        return default
    if not (given.isascii() and given.isdecimal() and len(given) <= 18):
        raise Http404(f"{name} is a whole number.")
    return int(given)


def identifier(request: HttpRequest, name: str) -> UUID | None:
    """The id that is given as `name`; None if none is. No such page if it is anything else."""
    given = request.GET.get(name)
    if not given:
        return None
    try:
        return UUID(given)
    except ValueError:
        raise Http404(f"{name} is an id.") from None
