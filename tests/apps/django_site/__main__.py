"""``python -m tests.apps.django_site``: the project's manage.py."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.apps.django_site.settings")
    execute_from_command_line(["manage.py", *sys.argv[1:]])
