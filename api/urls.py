"""The addresses of the API. ApiMiddleware brings `/ovirt-engine/api`, `/v3` and `/v4` to `/api` before."""

from django.urls import path

from api.native import commands
from api.native.metrics import Metrics
from api.native.openapi import OpenApi
from api.ovirt import batch, site, sso, views

urlpatterns = [
    path("metrics", Metrics.as_view()),
    path("api", site.Root.as_view()),
    path("api/openapi.json", OpenApi.as_view()),
    path("api/capabilities", site.Capabilities.as_view()),
    path("api/users", site.Users.as_view()),
    path("api/users/<int:user_id>", site.OneUser.as_view()),
    path("api/jobs", views.Jobs.as_view()),
    path("api/jobs/<uuid:job_id>", views.OneJob.as_view()),
    path("api/jobs/<uuid:job_id>/end", views.EndJob.as_view()),
    path("api/jobs/<uuid:job_id>/clear", views.ClearJob.as_view()),
    path("api/jobs/<uuid:job_id>/heartbeat", views.Heartbeat.as_view()),
    path("api/jobs/<uuid:job_id>/progress", views.Progress.as_view()),
    path("api/jobs/<uuid:job_id>/batch", batch.Batch.as_view()),
    path("api/jobs/<uuid:job_id>/steps", views.Steps.as_view()),
    path("api/jobs/<uuid:job_id>/steps/<uuid:step_id>", views.OneStep.as_view()),
    path("api/jobs/<uuid:job_id>/steps/<uuid:step_id>/end", views.EndStep.as_view()),
    path("api/jobs/<uuid:job_id>/steps/<uuid:step_id>/progress", views.Progress.as_view()),
    path("api/jobs/<uuid:job_id>/steps/<uuid:step_id>/statistics", views.Statistics.as_view()),
    path("api/commands", commands.Commands.as_view()),
    path("api/commands/<uuid:command_id>", commands.OneCommand.as_view()),
    path("api/commands/<uuid:command_id>/event", commands.Event.as_view()),
    path("api/commands/<uuid:command_id>/poll", commands.Poll.as_view()),
    path("api/commands/<uuid:command_id>/fail", commands.Fail.as_view()),
    path("api/commands/<uuid:command_id>/resume", commands.Resume.as_view()),
    path("api/commands/<uuid:command_id>/remove", commands.Remove.as_view()),
    path("ovirt-engine/sso/oauth/token", sso.token),
    path("ovirt-engine/sso/oauth/token-http-auth", sso.token_by_header),
    path("ovirt-engine/services/sso-logout", sso.logout),
]
