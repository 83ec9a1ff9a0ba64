"""App Engine's own deferred handler goes from app.yaml; every other line stays as it is, its comments too."""

from __future__ import annotations

import pytest

from gae_broker.codemod import app_yaml

BEFORE = """\
# The shop.
runtime: python27
threadsafe:   true   # as it was

builtins:
- remote_api: on
# deferred calls
- deferred: on  # the library
- appstats: on

handlers:
# deferred calls, by hand
- url: /_ah/queue/deferred
  script: google.appengine.ext.deferred.deferred.application
  login: admin   # nobody else

- url: /static
  static_dir: static

- script: $PYTHON_LIB/google/appengine/ext/deferred/handler.py
  url: /_ah/queue/deferred.*
- url: /_ah/queue/.*
  script: main.app
  login: admin
"""
AFTER = """\
# The shop.
runtime: python27
threadsafe:   true   # as it was

builtins:
- remote_api: on
# deferred calls
- appstats: on

handlers:
# deferred calls, by hand

- url: /static
  static_dir: static

- url: /_ah/queue/.*
  script: main.app
  login: admin
"""


def migrate(text: str) -> tuple[str, list[tuple[int, str]]]:
    outcome = app_yaml.analyse(text.encode())
    return outcome.data.decode(), [(remark.line, remark.what) for remark in outcome.remarks]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_entries_go_and_lines_stay(newline: str) -> None:
    changed, remaining = migrate(BEFORE.replace("\n", newline))
    assert changed == AFTER.replace("\n", newline)
    assert remaining == []
    assert migrate(changed) == (changed, [])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("runtime: python27\nbuiltins:\n- deferred: on\n", "runtime: python27\n"),
        ("builtins:\n  - deferred: true\nruntime: python27", "runtime: python27"),
        ("builtins:\n- deferred: off\n", "builtins:\n- deferred: off\n"),
        ("builtins:\n- deferred: on  # gae-broker: keep\n", "builtins:\n- deferred: on  # gae-broker: keep\n"),
        ("handlers:\n- url: /_ah/queue/deferred\n  script: main.app\n",) * 2,
        ("deferred: on\n",) * 2,
        ("- deferred: on\n",) * 2,
        ("text: |\n  builtins:\n  - deferred: on\n",) * 2,
        ("a: 1\nbuiltins:\n-   deferred: on\n\n# after\nb: 2\n", "a: 1\n\n# after\nb: 2\n"),
    ],
)
def test_small_files(before: str, after: str) -> None:
    assert migrate(before) == (after, [])


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("runtime: python27\nbuiltins: [{deferred: on}]\n", 2, "builtins in brackets switches deferred on"),
        ("{% if x %}\nbuiltins:\n- deferred: on\n", 3, "switches deferred on, in YAML that cannot be read"),
        ("a: 1\n---\nbuiltins:\n- deferred: on\n", 4, "switches deferred on, in YAML that cannot be read"),
    ],
)
def test_what_is_left(text: str, line: int, what: str) -> None:
    assert migrate(text) == (text, [(line, what)])
