from django.db import migrations

# The lock is taken before the statement takes its first position, and let go by the commit
# (docs/decisions/0002-commit-order.md). 0x7A5C is the feed's.
ORDER = """
CREATE FUNCTION taskmonitor_order_feed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(x'7A5C'::int);
    RETURN NULL;
END $$;
CREATE TRIGGER order_feed BEFORE INSERT ON taskmonitor_event
    FOR EACH STATEMENT EXECUTE FUNCTION taskmonitor_order_feed();
"""
NO_ORDER = """
DROP TRIGGER order_feed ON taskmonitor_event;
DROP FUNCTION taskmonitor_order_feed();
"""


def order(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(ORDER)


def do_not_order(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(NO_ORDER)


class Migration(migrations.Migration):
    dependencies = [("taskmonitor", "0005_lists")]

    operations = [migrations.RunPython(order, do_not_order)]
