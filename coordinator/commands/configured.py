"""Registers the commands that come with Task Monitor, each only if the settings allow it something."""

from django.conf import settings

from coordinator.commands.http_call import HttpCall
from coordinator.commands.run_program import RunProgram
from coordinator.registry import register

if settings.HTTP_HOSTS:
    register()(HttpCall)
if settings.PROGRAMS:
    register()(RunProgram)
