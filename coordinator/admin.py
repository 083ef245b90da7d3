"""Takes django-q2's pages out of Django's admin: there one could schedule, and run again, any function."""

import django_q.admin  # noqa: F401 - which registers them, and does so once
from django.apps import apps
from django.contrib import admin

admin.site.unregister(
    [model for model in apps.get_app_config("django_q").get_models() if admin.site.is_registered(model)]
)
