"""``gae-broker queues``."""

from __future__ import annotations

from pathlib import Path

import pytest

LIST = """\
QUEUE    MODE  STATE    RATE  ENFORCED    BUCKET  TASKS  OLDEST  IN FLIGHT  LAST MINUTE
mail     push  running  10/m  0.166667/s      20      2  in 10m          0            0
stopped  push  stopped  0     0/s              5      0  -               0            0
inbox    pull  running  -     -                -      0  -               -            -
default  push  running  5/s   5/s              5      0  -               0            0
"""


def test_list_is_the_consoles_page(cli) -> None:
    for name in ("a", "b"):
        cli("tasks", "add", "mail", "--name", name, "--countdown", "10m")
    assert cli("queues", "list").out == LIST


def test_list_as_json_has_the_keys_of_app_engines_stub(cli) -> None:
    found = cli("queues", "list", "--format", "json").data
    assert [queue["name"] for queue in found["queues"]] == ["mail", "stopped", "inbox", "default"]
    assert found["queues"][0] == {
        "name": "mail",
        "mode": "push",
        "max_rate": "10/m",
        "bucket_size": 20,
        "oldest_task": None,
        "eta_delta": None,
        "tasks_in_queue": 0,
        "state": "running",
        "enforced_rate": pytest.approx(1 / 6),
        "max_concurrent_requests": 1000,
        "in_flight": 0,
        "executed_last_minute": 0,
    }


def test_describe_says_where_the_queue_is_defined(cli) -> None:
    found = cli("queues", "describe", "mail", "--format", "json").data
    assert (found["defined"], found["target"], found["retry_parameters"]["task_retry_limit"]) == (
        "queue.yaml:2",
        "worker",
        7,
    )
    assert cli("queues", "describe", "default", "--format", "json").data["defined"] == "implicit"
    lines = cli("queues", "describe", "mail").out.splitlines()
    assert "task_retry_limit         7" in lines
    assert "defined                  queue.yaml:2" in lines


def test_pause_and_resume_are_seen_by_the_next_command(cli) -> None:
    assert cli("queues", "pause", "mail").err == "Queue 'mail' is paused.\n"
    assert cli("queues", "describe", "mail", "--format", "json").data["state"] == "paused"
    assert cli("queues", "resume", "mail").err == "Queue 'mail' is resumed.\n"
    assert cli("queues", "describe", "mail", "--format", "json").data["state"] == "running"


def test_resuming_a_queue_with_rate_0_says_that_nothing_will_run(cli) -> None:
    assert "its rate in queue.yaml is 0: nothing is dispatched from 'stopped'" in cli("queues", "resume", "stopped").err


def test_purge_needs_yes_where_nobody_can_be_asked_and_says_how_many(cli) -> None:
    for _ in range(3):
        cli("tasks", "add", "inbox", "--payload", "x")
    refused = cli("queues", "purge", "inbox")
    assert (refused.code, "would purge 3 tasks of queue 'inbox'" in refused.err) == (2, True)
    assert cli("queues", "describe", "inbox", "--format", "json").data["tasks_in_queue"] == 3
    done = cli("queues", "purge", "inbox", "--yes")
    assert (done.code, done.err) == (0, "Queue 'inbox' is purged of 3 tasks.\n")
    assert cli("queues", "describe", "inbox", "--format", "json").data["tasks_in_queue"] == 0


def test_yes_may_stand_in_the_environment(cli) -> None:
    assert cli("queues", "purge", "inbox", env={"GAE_BROKER_QUEUES_PURGE_YES": "1"}).code == 0


@pytest.mark.parametrize("command", ["describe", "pause", "resume", "purge"])
def test_an_unknown_queue(cli, command: str) -> None:
    found = cli("queues", command, "mial")
    assert found.code == 1
    assert found.err == "Error: queue 'mial' is not in queue.yaml; it has: default, inbox, mail, stopped\n"


def test_a_file_that_was_named_and_is_not_there_is_told(cli, home: Path) -> None:
    found = cli("queues", "list", "--queue-yaml", "queues.yml")
    assert (found.code, found.err) == (
        0,
        "warning: there is no queues.yml (from flag): only the queue 'default' exists\n",
    )
    (home / "queue.yaml").unlink()
    assert cli("queues", "list").err == ""


def test_the_enforced_rate_is_shown_as_a_rate(cli) -> None:
    assert "enforced_rate            0.166667/s\n" in cli("queues", "describe", "mail").out


def test_warnings_of_queue_yaml_are_told_and_can_be_silenced(cli, home: Path) -> None:
    (home / "queue.yaml").write_text("queue:\n- name: inbox\n  mode: pull\n  rate: 5/s\n")
    assert cli("queues", "list").err == "warning: queue.yaml:4: rate: ignored, 'inbox' is a pull queue\n"
    assert cli("queues", "list", "-qq").err == ""
