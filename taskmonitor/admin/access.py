"""Tokens, which can be revoked but never read; and the audit, which can be read but never changed."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from taskmonitor.admin.base import Confirmation, ReadOnlyAdmin, actor, refused_above
from taskmonitor.models import AccessToken, AuditEntry
from taskmonitor.services.access import revoke_tokens


@admin.register(AccessToken)
class AccessTokenAdmin(ReadOnlyAdmin):
    list_display = ("user", "name", "scope", "created", "expires", "last_used", "last_used_from")
    list_display_links = None
    list_select_related = ("user",)
    list_filter = (("name", admin.EmptyFieldListFilter), "scope")
    search_fields = ("user__username", "name", "last_used_from")
    ordering = ("-created",)
    exclude = ("digest",)
    actions = ("revoke",)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("taskmonitor.delete_accesstoken")

    @admin.action(description="Revoke selected tokens", permissions=["revoke"])
    def revoke(self, request: HttpRequest, tokens: QuerySet[Any]) -> HttpResponse | None:
        tokens = tokens.select_related("user")
        if refused_above(self, request, {token.user for token in tokens}):
            return None
        if "confirmed" not in request.POST:
            return Confirmation(self, request, "Revoke the tokens", verb="Revoke", objects=tokens)
        number = revoke_tokens(tokens=tokens, actor=actor(request), now=timezone.now())
        self.message_user(request, f"Revoked {number}; they are accepted no more.", messages.SUCCESS)
        return None


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("time", "actor_name", "verb", "subject", "detail")
    list_filter = (("time", admin.DateFieldListFilter), "verb")
    search_fields = ("actor_name", "verb", "subject", "detail")
    date_hierarchy = "time"
    ordering = ("-time", "-pk")
