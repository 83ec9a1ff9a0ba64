"""``gae-broker tasks``."""

from __future__ import annotations

import pytest


def test_a_push_task_with_everything(cli) -> None:
    added = cli(
        *("tasks", "add", "mail", "--url", "/send", "--param", "user=42", "--param", "user=43", "--name", "w-1"),
        *("--header", "X-Kind: welcome", "--countdown", "10m", "--deadline", "2m", "--target", "v2.api"),
        *("--task-retry-limit", "3", "--task-age-limit", "1h", "--max-doublings", "0", "--format", "json"),
    )
    assert added.code == 0
    task = added.data["task"]
    assert (task["name"], task["queue_name"], task["method"], task["url"]) == ("w-1", "mail", "POST", "/send")
    found = cli("tasks", "describe", "mail", "w-1", "--show-payload", "--format", "json").data
    assert found["payload"] == "user=42&user=43"
    assert "X-Kind: welcome" in found["headers"]
    assert {key: found[key] for key in ("state", "named", "dispatch_deadline_s", "tries")} == {
        "state": "delayed",
        "named": True,
        "dispatch_deadline_s": 120.0,
        "tries": 0,
    }
    assert found["retry_options"] == {
        "task_retry_limit": 3,
        "task_age_limit_s": 3600,
        "min_backoff_seconds": 0.1,
        "max_backoff_seconds": 3600.0,
        "max_doublings": 0,
    }


def test_payloads_are_shown_only_when_asked_for(cli) -> None:
    cli("tasks", "add", "mail", "--payload", "hunter2", "--name", "t")
    for words in (("list", "mail"), ("describe", "mail", "t"), ("describe", "mail", "t", "--format", "json")):
        assert "hunter2" not in cli("tasks", *words).out
    assert "hunter2" in cli("tasks", "describe", "mail", "t", "--show-payload").out


@pytest.mark.parametrize(
    ("text", "key", "value"), [("text \u00e9", "payload", "text \u00e9"), (b"\xff\x00", "payload_base64", "/wA=")]
)
def test_a_payload_from_standard_input(cli, text: str | bytes, key: str, value: str) -> None:
    assert cli("tasks", "add", "inbox", "--payload-file", "-", text=text).code == 0
    assert cli("tasks", "lease", "inbox", "--format", "json").data["tasks"][0][key] == value


def test_payload_and_payload_file_exclude_each_other(cli) -> None:
    found = cli("tasks", "add", "inbox", "--payload", "a", "--payload-file", "-")
    assert (found.code, "not both" in found.err) == (2, True)


def test_an_eta_without_a_time_zone_is_local_time(cli, monkeypatch: pytest.MonkeyPatch) -> None:
    found = cli("tasks", "add", "mail", "--eta", "2020-01-01T12:00:00+02:00", "--format", "json")
    assert found.data["task"]["eta"] == "2020-01-01T10:00:00.000Z"


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["--countdown", "soon"], 2, "'soon', expected a time from 0s to 30d"),
        (["--eta", "tomorrow"], 2, "'tomorrow', expected a moment like 2026-12-24T18:00:00Z"),
        (["--param", "x"], 2, "'x', expected NAME=VALUE"),
        (["--header", "x"], 2, "'x', expected NAME:VALUE"),
        (["--method", "PATCH"], 2, "'PATCH' is not one of"),
        (["--name", "a b"], 1, "a b"),
        (["--url", "http://elsewhere/"], 1, "http://elsewhere/"),
        (["--tag", "t"], 1, "tag"),
        (["--method", "PULL"], 1, "pull"),
    ],
)
def test_tasks_that_are_refused(cli, words: list[str], code: int, error: str) -> None:
    found = cli("tasks", "add", "mail", *words)
    assert (found.code, error in found.err, found.out) == (code, True, "")
    assert "Traceback" not in found.err
    assert cli("tasks", "list", "mail").err == "Queue 'mail' has no tasks.\n"


def test_a_name_is_taken_once(cli) -> None:
    cli("tasks", "add", "mail", "--name", "w")
    again = cli("tasks", "add", "mail", "--name", "w")
    assert (again.code, "'w'" in again.err) == (1, True)


def test_list_is_in_the_order_of_etas_and_says_when_there_is_more(cli) -> None:
    for name, countdown in (("late", "3h"), ("soon", "1h"), ("next", "2h")):
        cli("tasks", "add", "mail", "--name", name, "--countdown", countdown)
    found = cli("tasks", "list", "mail", "--limit", "2", "--format", "json")
    assert [task["name"] for task in found.data["tasks"]] == ["soon", "next"]
    assert found.data["more"] is True
    assert cli("tasks", "list", "mail", "--limit", "2").err == "These are the first 2; --limit shows more.\n"
    assert cli("tasks", "list", "mail", "--limit", "3", "--format", "json").data["more"] is False


def test_lease_hands_out_each_task_once(cli) -> None:
    for payload in ("one", "two"):
        cli("tasks", "add", "inbox", "--payload", payload)
    first = cli("tasks", "lease", "inbox", "--for", "10m", "--format", "json").data["tasks"]
    assert [(task["payload"], task["state"], task["tries"]) for task in first] == [("one", "leased", 1)]
    second = cli("tasks", "lease", "inbox", "--max", "5").out.splitlines()
    assert [line.split()[-1] for line in second] == ["PAYLOAD", "two"]
    assert cli("tasks", "lease", "inbox").err == "Queue 'inbox' has no task to lease now.\n"


def test_lease_by_tag(cli) -> None:
    for tag, payload in (("a", "1"), ("b", "2"), ("a", "3")):
        cli("tasks", "add", "inbox", "--payload", payload, "--tag", tag)
    by_tag = cli("tasks", "lease", "inbox", "--tag", "b", "--max", "5", "--format", "json").data["tasks"]
    assert [task["payload"] for task in by_tag] == ["2"]
    oldest = cli("tasks", "lease", "inbox", "--by-tag", "--max", "5", "--format", "json").data["tasks"]
    assert [task["payload"] for task in oldest] == ["1", "3"]


def test_lease_of_a_push_queue(cli) -> None:
    assert cli("tasks", "lease", "mail").code == 1


def test_delete_tells_each_task_and_fails_for_those_that_are_not_there(cli) -> None:
    cli("tasks", "add", "mail", "--name", "a")
    refused = cli("tasks", "delete", "mail", "a", "b")
    assert (refused.code, "would delete 2 tasks of queue 'mail'" in refused.err) == (2, True)
    found = cli("tasks", "delete", "mail", "a", "b", "--yes", "--format", "json")
    assert found.code == 1
    assert found.data == {"tasks": [{"name": "a", "deleted": True}, {"name": "b", "deleted": False}]}
    assert found.err.endswith("Error: 1 task not in queue 'mail': b\n")
    assert cli("tasks", "list", "mail").err == "Queue 'mail' has no tasks.\n"


def test_run_makes_a_task_due(cli) -> None:
    cli("tasks", "add", "mail", "--name", "r", "--countdown", "5h")
    assert cli("tasks", "run", "mail", "r").err == "Task 'r' of queue 'mail' is due now.\n"
    assert cli("tasks", "describe", "mail", "r", "--format", "json").data["state"] == "due"
    cli("queues", "pause", "mail")
    assert "queue 'mail' is paused; the task waits" in cli("tasks", "run", "mail", "r").err


@pytest.mark.parametrize("command", ["describe", "run"])
def test_an_unknown_task(cli, command: str) -> None:
    found = cli("tasks", command, "mail", "nobody")
    assert (found.code, "nobody" in found.err, "Traceback" in found.err) == (1, True, False)
