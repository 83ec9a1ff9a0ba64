"""Tasks and queues as App Engine's stub lists them; the figures are those of the reference implementation."""

from __future__ import annotations

import pytest

from gae_broker.domain.queue import AclEntry, Mode, Queue
from gae_broker.domain.retry import DEFAULT, RetryParameters
from gae_broker.domain.task import Content, Copy, Progress
from gae_broker.testing.listings import Acl, eta_delta, format_eta, parse_eta, queue_dict, task_dict

NOW_US = 1_795_394_373_906_712


def test_a_push_task() -> None:
    content = Content(
        name="task1",
        url="/x",
        headers=(
            ("X-Foo", "1"),
            ("X-AppEngine-TaskName", "forged"),
            ("content-type", "application/x-www-form-urlencoded"),
            ("Host", "testbed.example.com"),
        ),
        payload=b"a=b",
        created_us=1_795_394_373_906_712,
        deadline_us=20_000_000,
    )
    progress = Progress(tries=3, executions=2, last_status=500)
    assert task_dict(Copy("c1", "default", content, NOW_US + 60_000_000, progress), NOW_US) == {
        "name": "task1",
        "queue_name": "default",
        "url": "/x",
        "method": "POST",
        "eta": "2026/11/23 00:40:33",
        "eta_usec": 1_795_394_433_906_712,
        "eta_delta": "0:01:00 from now",
        "body": b"YT1i",
        "creation_time_usec": 1_795_394_373_000_000,
        "dispatch_deadline_usec": 20_000_000,
        "headers": [
            ("X-Foo", "1"),
            ("content-type", "application/x-www-form-urlencoded"),
            ("Host", "testbed.example.com"),
            ("X-AppEngine-QueueName", "default"),
            ("X-AppEngine-TaskName", "task1"),
            ("X-AppEngine-TaskRetryCount", "3"),
            ("X-AppEngine-TaskETA", "1795394433.906712"),
            ("X-AppEngine-Development-Payload", "1"),
            ("Content-Length", "4"),
            ("X-AppEngine-TaskExecutionCount", "2"),
            ("X-AppEngine-TaskPreviousResponse", "500"),
        ],
    }


def test_a_pull_task_reads_post_and_gets_a_content_type() -> None:
    content = Content("task2", "PULL", payload="hé".encode(), created_us=1_000_000, tag="t")
    listed = task_dict(Copy("c", "pq", content, NOW_US), NOW_US + 1)
    assert (listed["method"], listed["url"], listed["body"]) == ("POST", "", b"aMOp")
    assert ("Content-Type", "application/octet-stream") in listed["headers"]
    assert "dispatch_deadline_usec" not in listed


@pytest.mark.parametrize(
    ("eta_us", "text"),
    [
        (NOW_US, "0:00:00 ago"),
        (NOW_US - 6_342_511, "0:00:06 ago"),
        (NOW_US + 59_999_999, "0:00:59 from now"),
        (NOW_US + 2 * 86_400_000_000, "2 days, 0:00:00 from now"),
    ],
)
def test_how_far_away_an_eta_is(eta_us: int, text: str) -> None:
    assert eta_delta(eta_us, NOW_US) == text


def test_an_eta_is_written_and_read_in_whole_seconds() -> None:
    assert parse_eta(format_eta(NOW_US)).timestamp() == NOW_US // 1_000_000


def copies(*etas_us: int) -> list[Copy]:
    return [Copy("c", "q", Content("n"), eta_us) for eta_us in etas_us]


def test_queues() -> None:
    implicit = queue_dict(Queue("default"), copies(NOW_US + 5_000_000, NOW_US - 1_000_000), NOW_US)
    assert implicit == {
        "name": "default",
        "max_rate": "5.00/s",
        "bucket_size": 5,
        "mode": "push",
        "acl": None,
        "oldest_task": "2026/11/23 00:39:32",
        "eta_delta": "0:00:01 ago",
        "tasks_in_queue": 2,
    }
    retry = RetryParameters(limit=3, age_limit_s=7200)
    configured = queue_dict(Queue("mail", rate_text="5/m", bucket_size=7, retry=retry, line=2), [], NOW_US)
    assert configured["max_rate"] == "5/m"
    assert configured["retry_parameters"] == {"retry_limit": 3, "age_limit_sec": 7200}
    assert (configured["oldest_task"], configured["eta_delta"]) == ("", "")
    acl = (AclEntry("a@b.example"), AclEntry(None, "w@b.example"))
    pull = queue_dict(Queue("pq", Mode.PULL, acl=acl, line=5), [], NOW_US)
    assert (pull["mode"], pull["max_rate"]) == ("pull", "")
    assert pull["acl"] == Acl(("a@b.example",), ("w@b.example",))


def test_all_retry_parameters() -> None:
    retry = RetryParameters(0, 1, 0.5, 10.0, 2)
    assert queue_dict(Queue("q", retry=retry, line=1), [], NOW_US)["retry_parameters"] == {
        "retry_limit": 0,
        "age_limit_sec": 1,
        "min_backoff_sec": 0.5,
        "max_backoff_sec": 10.0,
        "max_doublings": 2,
    }
    assert "retry_parameters" not in queue_dict(Queue("q", retry=DEFAULT, line=1), [], NOW_US)
