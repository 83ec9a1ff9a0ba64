"""``gae-broker deploy`` on the embedded broker."""

from __future__ import annotations

TWO = "queue: [{name: mail}, {name: inbox, mode: pull}]"
ONE = "queue: [{name: mail}]"


def test_a_dry_run_shows_what_is_missing_and_makes_nothing(cli, home):
    (home / "q.yaml").write_text(TWO)
    found = cli("deploy", "q.yaml", "--dry-run", "--format", "json")
    assert (found.code, found.data["dry_run"]) == (0, True)
    assert {(one["action"], one["queue"]) for one in found.data["changes"]} == {
        ("create", "default"),
        ("create", "mail"),
        ("create", "inbox"),
    }
    assert not (home / "queue.yaml.db").exists()
    again = cli("deploy", "q.yaml", "--dry-run", "--format", "json")
    assert again.data["changes"] == found.data["changes"]


def test_deploying_makes_the_queues_and_the_ledger_and_again_nothing(cli, home):
    (home / "q.yaml").write_text(TWO)
    first = cli("deploy", "q.yaml")
    assert first.code == 0
    assert "3 objects made" in first.err
    second = cli("deploy", "q.yaml")
    assert (second.code, second.out) == (0, "")
    assert "Nothing differs" in second.err
    checks = {check["name"]: check["status"] for check in cli("check", "--format", "json").data["checks"]}
    assert checks["ledger"] == "ok"


def test_a_queue_that_left_the_file_stays_until_it_is_pruned(cli, home):
    (home / "q.yaml").write_text(TWO)
    assert cli("deploy", "q.yaml").code == 0
    (home / "q.yaml").write_text(ONE)
    kept = cli("deploy", "q.yaml")
    assert kept.code == 0
    assert "inbox: not in the file, kept" in kept.err
    pruned = cli("deploy", "q.yaml", "--prune")
    assert pruned.code == 0
    assert "Queue 'inbox' is removed." in pruned.err
    assert "Nothing differs" in cli("deploy", "q.yaml").err


def test_a_queue_with_tasks_is_only_pruned_when_one_says_so(cli, home):
    (home / "q.yaml").write_text(TWO)
    (home / "queue.yaml").write_text(TWO)
    assert cli("tasks", "add", "inbox", "--payload", "x").code == 0
    (home / "q.yaml").write_text(ONE)
    refused = cli("deploy", "q.yaml", "--prune")
    assert refused.code == 2
    assert "remove 1 queue with 1 task" in refused.err
    assert "inbox" in cli("deploy", "q.yaml", "--dry-run").out
    done = cli("deploy", "q.yaml", "--prune", "--yes")
    assert done.code == 0
    assert "Queue 'inbox' is removed, with 1 task." in done.err


def test_a_tagged_task_keeps_its_queue_too(cli, home):
    (home / "q.yaml").write_text(TWO)
    (home / "queue.yaml").write_text(TWO)
    assert cli("tasks", "add", "inbox", "--payload", "x", "--tag", "t").code == 0
    (home / "q.yaml").write_text(ONE)
    refused = cli("deploy", "q.yaml", "--prune")
    assert refused.code == 1
    assert "'inbox' (1)" in refused.err
    assert cli("tasks", "lease", "inbox", "--format", "json").data["tasks"]


def test_a_file_that_cannot_be_used_is_a_fault_of_configuration(cli, home):
    (home / "q.yaml").write_text("queue: [{name: 'no good'}]")
    assert cli("deploy", "q.yaml").code == 4
    assert cli("deploy", "absent.yaml").code == 4


def test_deploying_resumes_paused_queues_where_the_file_says_so(cli, home):
    (home / "queue.yaml").write_text(ONE)
    assert cli("queues", "pause", "mail").code == 0
    assert "resumed" not in cli("deploy", "queue.yaml").err
    (home / "queue.yaml").write_text("resume_paused_queues: true\n" + ONE)
    assert "Queue 'mail' is resumed." in cli("deploy", "queue.yaml").err
    assert cli("queues", "list", "--format", "json").data["queues"][0]["state"] == "running"
