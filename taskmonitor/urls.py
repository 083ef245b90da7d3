"""Where every address leads: each door brings its own."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

handler500 = "taskmonitor.pages.errors.server_error"
urlpatterns = [
    path("", include("api.urls")),
    path("admin/password_change/", RedirectView.as_view(pattern_name="account_password")),
    path("admin/", admin.site.urls),
    path("", include("taskmonitor.pages.urls")),
]
