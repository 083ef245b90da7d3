"""Django's admin: who may do what, what was changed by whom, and what is stored."""

from django.contrib import admin

from taskmonitor.admin import access, users, work
from taskmonitor.admin.login import AdminLoginForm
from taskmonitor.pages.login import slowed

__all__ = ["access", "users", "work"]

admin.site.site_header = admin.site.site_title = "Task Monitor"
admin.site.index_title = "Administration"
admin.site.login_form = AdminLoginForm
admin.site.login = slowed(admin.site.login)  # type: ignore[method-assign]
