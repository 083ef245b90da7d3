"""Users and groups: the role of external tasks by an action, and each change of access in the audit."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from taskmonitor.admin.base import Confirmation, ModelAdmin, actor, refused_above, visitor
from taskmonitor.admin.forms import AddUserForm, ChangePasswordForm
from taskmonitor.models import Right, Role
from taskmonitor.selectors.access import above, carries_more
from taskmonitor.services.access import audit, grant_role, revoke_role
from taskmonitor.services.accounts import end_logins
from taskmonitor.services.transaction import writing

if TYPE_CHECKING:
    Users = UserAdmin[User]
else:
    Users = UserAdmin

Access = dict[str, Any]  # what somebody may, by field; a set of names where there can be many

admin.site.unregister(User)
admin.site.unregister(Group)


def changes(before: Access, after: Access) -> Iterator[tuple[str, str]]:
    """What was done to get from `before` to `after`, each as verb and detail for the audit."""
    for field, new in after.items():
        old = before[field]
        if isinstance(new, set):
            yield from (("granted", name) for name in sorted(new - old))
            yield from (("revoked", name) for name in sorted(old - new))
        elif new != old:
            yield "changed", f"{field}: {old} -> {new}"


class AuditedAdmin(ModelAdmin):
    """Audits what a page changes of anybody's access, in the transaction of the change."""

    def access(self, obj: Any) -> Access:
        """All of the object that decides who may do what, as the database has it."""
        raise NotImplementedError

    def subject(self, obj: Any) -> str:
        """How the audit names the object."""
        raise NotImplementedError

    def audit(self, request: HttpRequest, obj: Any, entries: Iterable[tuple[str, str]]) -> None:
        for verb, detail in entries:
            audit(
                verb=verb,
                subject=self.subject(obj),
                detail=detail,
                actor=actor(request),
                now=timezone.now(),
            )

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        form.access_before = self.access(self.model._default_manager.get(pk=obj.pk)) if change else None
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        after = self.access(form.instance)
        before = form.access_before
        if before is None:
            self.audit(request, form.instance, [("added", "")])
            before = {field: set() if isinstance(value, set) else value for field, value in after.items()}
        self.audit(request, form.instance, changes(before, after))

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.audit(request, obj, [("deleted", "")])
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for obj in queryset:
            self.audit(request, obj, [("deleted", "")])
        super().delete_queryset(request, queryset)


class InjectorFilter(admin.SimpleListFilter):
    title = "external tasks"
    parameter_name = "injects"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "may inject"), ("no", "may not")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() in ("yes", "no"):
            return queryset.filter(injects=self.value() == "yes")
        return queryset


@admin.register(User)
class UserAccessAdmin(AuditedAdmin, Users):
    """Users. Who is no superuser gives no rights away but the role of external tasks, and only if they have it.

    Nor do they touch an account that may more than theirs: whoever can set its password can use it.
    """

    list_display = ("username", "email", "first_name", "last_name", "external_tasks", "is_active", "is_staff")
    list_filter = (InjectorFilter, "is_staff", "is_superuser", "is_active", "groups")
    actions = ("grant_external_tasks", "revoke_external_tasks", "end_logins")
    add_form = AddUserForm
    add_fieldsets = (
        (
            None,
            {"fields": ("username", "usable_password", "password1", "password2", "must_change")},
        ),
    )
    change_password_form = ChangePasswordForm
    change_user_password_template = "admin/taskmonitor/change_password.html"  # noqa: S105
    POWERS = ("is_active", "is_staff", "is_superuser")

    def access(self, obj: Any) -> Access:
        return {
            "username": obj.username,
            **{power: getattr(obj, power) for power in self.POWERS},
            "groups": set(obj.groups.values_list("name", flat=True)),
            "user_permissions": _names(obj.user_permissions.all()),
        }

    def subject(self, obj: Any) -> str:
        return str(obj.username)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        carrying = Q(codename=Right.INJECT, content_type__app_label="taskmonitor")
        carried = Permission.objects.filter(carrying).filter(
            Q(user=OuterRef("pk")) | Q(group__user=OuterRef("pk"))
        )
        users: QuerySet[Any] = super().get_queryset(request)
        ticked: QuerySet[Any] = users.annotate(injects=Q(is_superuser=True) | Exists(carried))
        return ticked

    @admin.display(boolean=True, ordering="injects")
    def external_tasks(self, user: Any) -> bool:
        return bool(user.injects)

    def has_grant_permission(self, request: HttpRequest) -> bool:
        """Whoever may change users, and has themselves what they give."""
        role = Group.objects.filter(name=Role.INJECTOR).first()
        return (
            self.has_change_permission(request)
            and role is not None
            and not carries_more(role, visitor(request))
        )

    @admin.action(description="Grant external-tasks role", permissions=["grant"])
    def grant_external_tasks(self, request: HttpRequest, users: QuerySet[Any]) -> HttpResponse | None:
        if refused_above(self, request, users):
            return None
        if "confirmed" not in request.POST:
            title = f"Grant the role “{Role.INJECTOR}” to"
            return Confirmation(self, request, title, verb="Grant", objects=users)
        number = grant_role(role=Role.INJECTOR, users=users, actor=actor(request), now=timezone.now())
        self.message_user(request, f"Granted to {number}; it holds from now on.", messages.SUCCESS)
        return None

    @admin.action(description="Revoke external-tasks role", permissions=["grant"])
    def revoke_external_tasks(self, request: HttpRequest, users: QuerySet[Any]) -> HttpResponse | None:
        if refused_above(self, request, users):
            return None
        if "confirmed" not in request.POST:
            title = f"Revoke the role “{Role.INJECTOR}” from"
            return Confirmation(self, request, title, verb="Revoke", objects=users)
        number = revoke_role(role=Role.INJECTOR, users=users, actor=actor(request), now=timezone.now())
        self.message_user(request, f"Revoked from {number}; it holds from now on.", messages.SUCCESS)
        return None

    @admin.action(description="End all sessions and logins", permissions=["change"])
    def end_logins(self, request: HttpRequest, users: QuerySet[Any]) -> HttpResponse | None:
        if refused_above(self, request, users):
            return None
        if "confirmed" not in request.POST:
            title = "End all sessions, and all logins of clients, of"
            return Confirmation(self, request, title, verb="End", objects=users)
        for user in users:
            end_logins(user, programs=False)
            self.audit(request, user, [("ended logins", "")])
        self.message_user(request, f"Ended those of {len(users)}.", messages.SUCCESS)
        return None

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        told = (*super().get_readonly_fields(request, obj), "last_login", "date_joined")
        return told if visitor(request).is_superuser else (*told, *self.POWERS, "groups", "user_permissions")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and _is_below(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and _is_below(request, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Whoever may delete a user may delete what goes along: tokens and the like, which have no such page of their own."""
        deleted, counts, needed, protected = super().get_deleted_objects(objs, request)
        return deleted, counts, needed & {self.opts.verbose_name}, protected

    def user_change_password(
        self,
        request: HttpRequest,
        id: str,  # noqa: A002 - Django's own name
        form_url: str = "",
    ) -> HttpResponse:
        user = self.get_object(request, id)
        if user == request.user:
            return redirect("account_password")  # which asks for the current one
        with writing():  # its password, and the end of the logins by the old one
            response = super().user_change_password(request, id, form_url)
            if user and user.password != User.objects.get(pk=user.pk).password:
                self.audit(request, user, [("changed", "password")])
        return response

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if not change:
            form.require_change(form.instance, timezone.now())


@admin.register(Group)
class RoleAdmin(AuditedAdmin, GroupAdmin):
    """Groups are the roles. Whoever may change one can give themselves anything, so only superusers may."""

    change_list_template = "admin/taskmonitor/roles.html"

    def access(self, obj: Any) -> Access:
        return {"name": obj.name, "permissions": _names(obj.permissions.all())}

    def subject(self, obj: Any) -> str:
        return f"role {obj.name}"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return visitor(request).is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return visitor(request).is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return visitor(request).is_superuser

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(request, {"rights": list(Right), "grid": _grid()})


def _grid() -> list[tuple[str, list[bool]]]:
    """Each role, and whether it carries each of the rights."""
    groups = Group.objects.prefetch_related("permissions__content_type").order_by("name")
    return [
        (
            group.name,
            [f"taskmonitor.{right}" in _names(group.permissions.all()) for right in Right],
        )
        for group in groups
    ]


def _names(permissions: Iterable[Permission]) -> set[str]:
    return {f"{permission.content_type.app_label}.{permission.codename}" for permission in permissions}


def _is_below(request: HttpRequest, user: Any) -> bool:
    """Whether the page's user may nothing that the visitor may not; so may nobody in particular."""
    return user is None or not above(visitor(request), [user])
