"""The admin's forms of passwords, with whether the user must choose another one."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.auth.forms import AdminPasswordChangeForm, AdminUserCreationForm
from django.contrib.auth.models import User
from django.utils import timezone

from taskmonitor.services.accounts import require_password_change

if TYPE_CHECKING:
    PasswordChangeForm = AdminPasswordChangeForm[User]
    UserCreationForm = AdminUserCreationForm[User]
else:
    PasswordChangeForm, UserCreationForm = AdminPasswordChangeForm, AdminUserCreationForm


class _MustChange(forms.Form):
    must_change = forms.BooleanField(
        label="Must be changed at the next login",
        required=False,
        initial=True,
        help_text="Untick it for a program, which cannot: the API takes such a password for a day.",
    )

    def require_change(self, user: User, now: datetime) -> None:
        """Keep that it must be changed, if that is so and the user, who is stored by now, has one."""
        if self.cleaned_data["must_change"] and user.has_usable_password():
            require_password_change(user, now)


class ChangePasswordForm(_MustChange, PasswordChangeForm):
    def save(self, commit: bool = True) -> Any:
        user = super().save(commit)
        self.require_change(user, timezone.now())
        return user


class AddUserForm(_MustChange, UserCreationForm):
    """Its user is stored later, by the admin, which then requires the change too."""
