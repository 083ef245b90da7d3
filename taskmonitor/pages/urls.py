from django.contrib.auth.views import LogoutView
from django.urls import path
from django.views.generic import RedirectView

from taskmonitor.pages import account, commands, job_detail, job_list, login, steps, stream, tokens
from taskmonitor.pages.operate import operate

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="job_list"), name="home"),
    path("login/", login.login, name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("jobs/", job_list.job_list, name="job_list"),
    path("jobs/rows/", job_list.job_list_rows, name="job_list_rows"),
    path("jobs/<uuid:job_id>/", job_detail.job_detail, name="job_detail"),
    path("jobs/<uuid:job_id>/row/", job_list.job_row, name="job_row"),
    path("jobs/<uuid:job_id>/facts/", job_detail.job_facts, name="job_facts"),
    path("jobs/<uuid:job_id>/history/", job_detail.job_history, name="job_history"),
    path("jobs/<uuid:job_id>/clear/", job_detail.job_clear, name="job_clear"),
    path("jobs/<uuid:job_id>/bring-back/", job_detail.job_bring_back, name="job_bring_back"),
    path("jobs/<uuid:job_id>/steps/", steps.job_level, name="job_level"),
    path("jobs/<uuid:job_id>/steps/<uuid:step_id>/", steps.step_detail, name="step_detail"),
    path("jobs/<uuid:job_id>/steps/<uuid:step_id>/row/", steps.step_row, name="step_row"),
    path("jobs/<uuid:job_id>/steps/<uuid:step_id>/facts/", steps.step_facts, name="step_facts"),
    path("jobs/<uuid:job_id>/steps/<uuid:step_id>/steps/", steps.step_level, name="step_level"),
    path("commands/", commands.command_list, name="command_list"),
    path("commands/rows/", commands.command_rows, name="command_rows"),
    path("commands/workers/", commands.command_workers, name="command_workers"),
    path("commands/<uuid:command_id>/", commands.command_detail, name="command_detail"),
    path("commands/<uuid:command_id>/row/", commands.command_row, name="command_row"),
    path("commands/<uuid:command_id>/facts/", commands.command_facts, name="command_facts"),
    path("commands/<uuid:command_id>/poll/", operate, {"operation": "command_poll"}, name="command_poll"),
    path("commands/<uuid:command_id>/fail/", operate, {"operation": "command_fail"}, name="command_fail"),
    path(
        "commands/<uuid:command_id>/resume/", operate, {"operation": "command_resume"}, name="command_resume"
    ),
    path(
        "commands/<uuid:command_id>/remove/", operate, {"operation": "command_remove"}, name="command_remove"
    ),
    path("tokens/", tokens.tokens, name="tokens"),
    path("tokens/<int:token_id>/revoke/", tokens.token_revoke, name="token_revoke"),
    path("account/", account.account, name="account"),
    path("account/end/", account.account_end, name="account_end"),
    path("account/password/", account.account_password, name="account_password"),
    path("stream/", stream.stream, name="stream"),
]
