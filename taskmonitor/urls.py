"""Where every address leads: each door brings its own."""

from django.contrib import admin
from django.urls import include, path

handler500 = "taskmonitor.pages.errors.server_error"
urlpatterns = [
    path("", include("api.urls")),
    path("admin/", admin.site.urls),
    path("", include("taskmonitor.pages.urls")),
]
