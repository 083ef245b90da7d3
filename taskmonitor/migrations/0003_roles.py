"""The roles, and the right to inject for the admin roles that are there already (MISSION.md S31-S33, S77)."""

from django.db import migrations

RIGHTS = {
    "inject_external_tasks": "Can inject external tasks",
    "view_all_jobs": "Can see everybody's jobs",
    "control_jobs": "Can control everybody's jobs",
    "view_traces": "Can see traces",
}
ROLES = {
    "External tasks creator": ["inject_external_tasks"],
    "Task operator": ["view_all_jobs", "control_jobs"],
    "Task viewer": ["view_all_jobs"],
    "Trace viewer": ["view_traces"],
}
ADMIN_MARK = "change_user"  # whoever may change users is an admin


def make_roles(apps, schema_editor):
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="taskmonitor", model="job"
    )
    Permission = apps.get_model("auth", "Permission")
    Group = apps.get_model("auth", "Group")
    rights = {
        codename: Permission.objects.get_or_create(
            content_type=content_type, codename=codename, defaults={"name": name}
        )[0]
        for codename, name in RIGHTS.items()
    }
    for admins in Group.objects.filter(
        permissions__codename=ADMIN_MARK, permissions__content_type__app_label="auth"
    ):
        admins.permissions.add(*rights.values())
    for role, codenames in ROLES.items():
        group, _ = Group.objects.get_or_create(name=role)
        group.permissions.add(*(rights[codename] for codename in codenames))


class Migration(migrations.Migration):
    dependencies = [
        ("taskmonitor", "0002_external_tasks"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [migrations.RunPython(make_roles, migrations.RunPython.noop, elidable=False)]
