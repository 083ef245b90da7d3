#!/usr/bin/env python
"""The command line of Task Monitor."""

import os
import sys

from django.core.management import execute_from_command_line


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "taskmonitor.settings")
    try:
        execute_from_command_line(sys.argv)
    except Exception as error:
        from taskmonitor.serving.versions import Unfit  # which needs what the command has loaded

        if isinstance(error, Unfit):
            sys.exit(str(error))
        raise


if __name__ == "__main__":
    main()
