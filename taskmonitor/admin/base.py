"""What the admin pages have in common."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse

from taskmonitor.logs import note
from taskmonitor.models import Actor
from taskmonitor.pages.bidi import isolated
from taskmonitor.selectors import access

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    AnyPaginator = Paginator[Any]
else:
    ModelAdmin, AnyPaginator = admin.ModelAdmin, Paginator

FARTHEST = 10_000


class BoundedPaginator(AnyPaginator):
    """Counts no further than anybody would leaf: an exact count of a million rows takes seconds."""

    @property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[:FARTHEST].count())


class ReadOnlyAdmin(ModelAdmin):
    """Rows that are looked at here, and changed by services alone."""

    actions: Any = None
    list_per_page = 50
    paginator = BoundedPaginator
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class Confirmation(TemplateResponse):
    """The page between an action and its effect: what is done, to which objects, the verb on the button."""

    def __init__(
        self, model_admin: Any, request: HttpRequest, title: str, *, verb: str, objects: QuerySet[Any]
    ) -> None:
        context = {
            **model_admin.admin_site.each_context(request),
            "title": title,
            "verb": verb,
            "objects": objects,
            "opts": model_admin.opts,
            "action": request.POST["action"],
            "across": request.POST.get("select_across") == "1",
            "checkbox": ACTION_CHECKBOX_NAME,
        }
        super().__init__(request, "admin/taskmonitor/confirm.html", context)


def actor(request: HttpRequest) -> Actor:
    """Who is at the admin's pages."""
    user: Any = request.user  # the admin lets nobody in who is not logged in
    note(user=user.get_username())
    return access.actor(user)


def visitor(request: HttpRequest) -> User:
    """The user at the admin's pages, as Django knows them."""
    return cast(User, request.user)


def refused_above(model_admin: Any, request: HttpRequest, users: Iterable[User]) -> bool:
    """Whether some of the users may more than the visitor, which is then said on the page."""
    above = access.above(visitor(request), users)
    if above:
        names = ", ".join(isolated(user.get_username()) for user in above)
        model_admin.message_user(
            request, f"Nothing was done: {names} may do what you may not.", messages.ERROR
        )
    return bool(above)
