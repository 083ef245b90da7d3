"""The admin's login page, which slows guessing down as all others do."""

from django.contrib.admin.forms import AdminAuthenticationForm

from taskmonitor.pages.login import SlowedForm


class AdminLoginForm(SlowedForm, AdminAuthenticationForm):
    """Refuses who is no staff in the same words as a wrong password."""
