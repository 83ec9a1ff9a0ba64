"""Writes docs/reference/parity.md from the parity tests: ``python docs/generate_parity.py``.

tests/parity/test_table.py fails when it is stale.
"""  # noqa: INP001 - a script

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "adapters")]

from tests.parity import player  # noqa: E402
from tests.parity.cases import ALL  # noqa: E402 - the checkout's, not an installed one's
from tests.parity.differences import DIFFERENCES  # noqa: E402
from tests.parity.members import ABSENT, ASKED_BY, BEHAVIOUR, ELSEWHERE, UNCOMPARED, names  # noqa: E402
from tests.parity.rabbit_side import applies  # noqa: E402

PAGE = ROOT / "docs" / "reference" / "parity.md"
RECORDED = {"Task": player.TASK_PROPERTIES, "TaskRetryOptions": player.RETRY_OPTIONS}
HEAD = """# Parity with App Engine, member by member

<!-- Made by docs/generate_parity.py from tests/parity; change those, then run that. -->

`same`: the cases that use the member gave what App Engine's own library gave, statement by statement. `differs`: on
purpose, in what the third column says. `absent`: not here. *cases* counts the hand-written cases that use it, *on
RabbitMQ* those of them that are played on RabbitMQ too (there nothing may be due later, and nobody can look inside).

Each case is played against Google's library and against ours reached in four ways: by our own names; by App Engine's
import names with nothing of Google's installed; by these names beside Google's library, its testbed and its datastore's
transactions; and by Google's unchanged client with our service behind its API proxy. [Differences from App
Engine](differences.md) tells each difference in full.

| member | | what, or why not | cases | on RabbitMQ |
|---|---|---|---:|---:|
"""


def row(member: str) -> str:
    """One member's line."""
    differences = [difference for difference in DIFFERENCES if member in difference.members]
    if member in ABSENT:
        return f"| `{member}` | absent | {ABSENT[member]} | | |"
    found = [*(f"{difference.where}: {difference.what}" for difference in differences)]
    if member in ELSEWHERE:
        found.append(ELSEWHERE[member])
    state = "differs" if found else "same"
    told = " ".join([*found, UNCOMPARED.get(member, "")]).strip().replace("|", "\\|")
    return f"| `{member}` | {state} | {told} | {count(member) or ''} | {count(member, on_rabbitmq=True) or ''} |"


def count(member: str, *, on_rabbitmq: bool = False) -> int:
    """How many cases use a member, by the last part of its name."""
    owner, _, name = member.rpartition(".")
    if name in RECORDED.get(owner, ()):  # of every such object that a statement gives, all of them are compared
        word = "(Task|add|lease_tasks)\\w*\\(" if owner == "Task" else owner
    else:
        word = BEHAVIOUR.get(member) or ASKED_BY.get(member) or name
    pattern = re.compile(rf"\b{word}")
    return sum(pattern.search(case.lines) is not None and (not on_rabbitmq or applies(case)) for case in ALL)


def page() -> str:
    """The page's text."""
    return HEAD + "\n".join(map(row, names())) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
