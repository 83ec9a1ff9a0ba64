"""queue.yaml: what loads, as what, with which warnings; what does not, and what the error says."""

from __future__ import annotations

from pathlib import Path

import pytest

from gae_broker.domain.queue import AclEntry, Mode, Queue, QueueFile
from gae_broker.domain.queue_yaml import load_path, parse, parse_age_limit, parse_rate, parse_total_storage_limit
from gae_broker.domain.retry import RetryParameters
from gae_broker.errors import QueueYamlError

EVERY_KEY = """\
application: s~example.com:shop
total_storage_limit: 1.5M
resume_paused_queues: no
x-gae-broker:
  dispatch_deadline: 2m
queue:
- name: mail
  mode: push
  rate: 30/m
  bucket_size: 40
  max_concurrent_requests: 10
  target: v2.worker
  retry_parameters:
    task_retry_limit: 7
    task_age_limit: 2d
    min_backoff_seconds: 10
    max_backoff_seconds: 200
    max_doublings: 0
  x-gae-broker:
    dispatch_deadline: 90s
- name: inbox
  mode: pull
  retry_parameters:
    task_retry_limit: 0
  acl:
  - user_email: worker@example.com
  - writer_email: web@example.com
"""


def one(lines: str) -> Queue:
    """The queue `q` of a file with these lines in its entry, which must load without a warning."""
    file = parse(entry(lines))
    assert file.warnings == ()
    return file.queues["q"]


def entry(lines: str) -> str:
    return "queue:\n- name: q\n" + "".join(f"  {line}\n" for line in lines.splitlines())


def test_every_key_is_read() -> None:
    file = parse(EVERY_KEY, "conf/queue.yaml")
    assert file.warnings == ()
    assert (file.application, file.total_storage_limit, file.resume_paused_queues, file.path) == (
        "s~example.com:shop",
        1_572_864,
        False,
        "conf/queue.yaml",
    )
    assert list(file.queues) == ["mail", "inbox", "default"]
    assert file.queues["mail"] == Queue(
        name="mail",
        rate_per_s=0.5,
        rate_text="30/m",
        bucket_size=40,
        max_concurrent=10,
        target="v2.worker",
        retry=RetryParameters(7, 172_800, 10.0, 200.0, 0),
        deadline_us=90_000_000,
        extensions={"dispatch_deadline": "90s"},
        line=7,
    )
    assert file.queues["inbox"] == Queue(
        name="inbox",
        mode=Mode.PULL,
        retry=RetryParameters(limit=0),
        acl=(AclEntry("worker@example.com"), AclEntry(writer_email="web@example.com")),
        deadline_us=120_000_000,
        extensions={"dispatch_deadline": "2m"},
        line=21,
    )
    assert file.queues["default"] == Queue("default", deadline_us=120_000_000)


def test_a_queue_keeps_the_additions_of_the_file_that_it_does_not_replace() -> None:
    file = parse("x-gae-broker: {dispatch_deadline: 1h}\nqueue:\n- name: q\n  x-gae-broker: {}\n")
    assert file.queues["q"].extensions == {"dispatch_deadline": "1h"}
    assert file.queues["q"].deadline_us == 3_600_000_000


@pytest.mark.parametrize("text", ["queue: []", "{}", "application: a"])
def test_the_default_queue_is_always_there(text: str) -> None:
    assert parse(text) == QueueFile(application="a" if "application" in text else None)


def test_a_listed_default_queue_replaces_the_implicit_one() -> None:
    assert parse("queue:\n- name: default\n  rate: 1/s\n").queues["default"].rate_per_s == 1.0


@pytest.mark.parametrize(
    ("text", "rate"),
    [("0", 0.0), ("0/s", 0.0), ("5/s", 5.0), ("0.5/s", 0.5), ("5./m", 5 / 60), ("1/h", 1 / 3600), ("1/d", 1 / 86400)],
)
def test_rates(text: str, rate: float) -> None:
    assert parse_rate(text) == rate
    queue = one(f"rate: {text}")
    assert (queue.rate_per_s, queue.rate_text) == (rate, text)


@pytest.mark.parametrize(
    "text", ["5", "-1/s", "5 /s", "5/ s", "5/sx", "5/", "/s", "5/w", "x/s", "", ".5/s", "1e3/s", "٣/s"]
)
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(QueueYamlError, match="expected 0, or a number and a unit like 5/s"):
        parse_rate(text)
    with pytest.raises(QueueYamlError, match=r"queue.yaml:3: rate: found"):
        parse(entry(f"rate: '{text}'"))


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("1000", 1000), ("7B", 7), ("2K", 2048), ("1.5M", 1_572_864), ("1.G", 2**30), ("2T", 2**41)],
)
def test_storage_limits(text: str, size: int) -> None:
    assert parse_total_storage_limit(text) == size
    assert parse(f"total_storage_limit: {text}").total_storage_limit == size


@pytest.mark.parametrize("text", ["1.5", "-1", "5m", "5KB", "K", "''", "'5 M'", "1e3", "[]"])
def test_what_is_no_storage_limit(text: str) -> None:
    with pytest.raises(
        QueueYamlError, match=r"queue.yaml:1: total_storage_limit: found .* expected a whole number of bytes"
    ):
        parse(f"total_storage_limit: {text}")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("1.9s", 1), ("0.5s", 1), ("15m", 900), ("1.5h", 5400), ("2d", 172_800), ("1e3s", 1000), (" 5 s", 5)],
)
def test_age_limits(text: str, seconds: int) -> None:
    assert parse_age_limit(text) == seconds
    assert parse(entry(f"retry_parameters: {{task_age_limit: '{text}'}}")).queues["q"].retry.age_limit_s == seconds


@pytest.mark.parametrize("text", ["5", "0s", "0.0d", "-1s", "infs", "nand", "2w", "d", "", "5sm"])
def test_what_is_no_age_limit(text: str) -> None:
    with pytest.raises(QueueYamlError, match=r"task_age_limit: found .* expected a number above 0 and a unit"):
        parse(entry(f"retry_parameters: {{task_age_limit: '{text}'}}"))


@pytest.mark.parametrize(
    ("given", "least", "most"),
    [
        ("{}", 0.1, 3600.0),
        ("{min_backoff_seconds: 5000}", 5000.0, 5000.0),
        ("{max_backoff_seconds: 0.05}", 0.05, 0.05),
        ("{max_backoff_seconds: 0}", 0.0, 0.0),
        ("{min_backoff_seconds: 7, max_backoff_seconds: 7.5}", 7.0, 7.5),
    ],
)
def test_a_single_backoff_bound_moves_the_other_default_out_of_its_way(given: str, least: float, most: float) -> None:
    retry = one(f"retry_parameters: {given}").retry
    assert (retry.min_backoff_s, retry.max_backoff_s) == (least, most)


@pytest.mark.parametrize(
    ("lines", "attribute", "value"),
    [
        ("bucket_size: 500", "bucket_size", 500),
        ("bucket_size: '7'", "bucket_size", 7),
        ("bucket_size: 7.0", "bucket_size", 7),
        ("bucket_size: 1_000", "bucket_size", 1000),
        ("max_concurrent_requests: 1", "max_concurrent", 1),
        ("target: backend", "target", "backend"),
        ("target: 1.a", "target", "1.a"),
        ("rate: 0.0", "rate_text", "0"),
        ("mode: 'pull'", "mode", Mode.PULL),
    ],
)
def test_values_that_load_in_silence(lines: str, attribute: str, value: object) -> None:
    assert getattr(one(lines), attribute) == value


@pytest.mark.parametrize(
    ("lines", "attribute", "value", "warning"),
    [
        ("rate:", "rate_per_s", 5.0, "3: rate: has no value; the default applies"),
        ("bucket_size: 7.9", "bucket_size", 7, "3: bucket_size: '7.9' is read as 7"),
        (
            "bucket_size: -3",
            "bucket_size",
            5,
            "3: bucket_size: -3 lets nothing run and is ignored; the default 5 applies",
        ),
        ("bucket_size: yes", "bucket_size", 1, "3: bucket_size: 'yes' is read as 1"),
        ("bucket_size: 010", "bucket_size", 8, None),
        ("bucket_size: 1e3", "bucket_size", 1000, None),
        ("max_concurrent_requests: 0", "max_concurrent", 1000, "3: max_concurrent_requests: 0 lets nothing run"),
        ("target: 1.2", "target", "1.2", "3: target: 1.2 is not text to YAML and is read as '1.2'; put it in quotes"),
        ("rate: |\n  5/s", "rate_text", "5/s", "3: rate: ends in a newline, which is dropped"),
        ("mode: pull\nrate: 5/s", "mode", Mode.PULL, "4: rate: ignored, 'q' is a pull queue"),
        ("mode: pull\ntarget: a", "target", "a", "4: target: ignored, 'q' is a pull queue"),
        ("acl: []", "acl", (), "3: acl: ignored, 'q' is a push queue"),
        ("mode: pull\nacl: [{}]", "acl", (AclEntry(),), "4: acl: a mapping without an address permits nobody"),
        (
            "mode: pull\nretry_parameters: {max_doublings: 3}",
            "retry",
            RetryParameters(max_doublings=3),
            "4: retry_parameters.max_doublings: ignored, only task_retry_limit applies to a pull queue",
        ),
        (
            "mode: pull\nx-gae-broker: {dispatch_deadline: 1h}",
            "deadline_us",
            3_600_000_000,
            "4: x-gae-broker.dispatch_deadline: ignored, 'q' is a pull queue",
        ),
        (
            "retry_parameters: {max_backoff_seconds: 1e9}",
            "retry",
            RetryParameters(max_backoff_s=2_592_000.0),
            None,
        ),
    ],
)
def test_what_app_engine_accepted_loads_with_a_warning(
    lines: str, attribute: str, value: object, warning: str | None
) -> None:
    file = parse(entry(lines))
    assert getattr(file.queues["q"], attribute) == value
    if warning:
        assert len(file.warnings) == 1
        assert file.warnings[0].startswith("queue.yaml:" + warning)


@pytest.mark.parametrize(
    ("text", "name"),
    [("on", "True"), ("123", "123"), ("010", "8"), ("2024-01-01", "2024-01-01"), ("!!str 5", "5")],
)
def test_names_that_yaml_does_not_take_for_text_are_read_as_app_engine_read_them(text: str, name: str) -> None:
    file = parse(f"queue:\n- name: {text}\n")
    assert list(file.queues) == [name, "default"]
    assert bool(file.warnings) is ("!!str" not in text)


@pytest.mark.parametrize("name", ["", "a" * 101, "a" * 499])
def test_a_name_that_no_client_can_use_is_loaded_and_ignored(name: str) -> None:
    file = parse(f"queue:\n- name: '{name}'\n")
    assert list(file.queues) == ["default"]
    assert "has not 1 to 100 characters" in file.warnings[0]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "queue.yaml:1: the queue configuration is empty, expected a 'queue:' list"),
        ("# nothing\n", "queue.yaml:1: the queue configuration is empty"),
        ("queue: []\n---\nqueue: []\n", "queue.yaml:3: a second YAML document, expected one"),
        ("- name: a\n", "queue.yaml:1: found a list, expected a mapping of queue, total_storage_limit"),
        ("queue: {}\n", "queue.yaml:1: queue: found a mapping, expected a list"),
        ("queue: a\n", "queue.yaml:1: queue: found 'a', expected a list"),
        ("queue:\n- a\n", "queue.yaml:2: queue: found 'a', expected a mapping of name, mode, rate"),
        ("queue:\n-\n", "queue.yaml:2: queue: found nothing, expected a mapping"),
        ("queue:\n- rate: 1/s\n", "queue.yaml:2: name: missing, expected 1 to 100 letters, digits and '-'"),
        ("queue:\n- name: a_b\n", "queue.yaml:2: name: found 'a_b', expected 1 to 100 letters"),
        (f"queue:\n- name: {'a' * 500}\n", "queue.yaml:2: name: found 'aaa"),
        ("queue:\n- name: a\n- name: b\n- name: a\n", "queue.yaml:4: name: a second queue 'a', the first is on line 2"),
        ("queue:\n- name: a\n  name: a\n", "queue.yaml:3: name: a second 'name', the first is on line 2"),
        ("queues: []\n", "queue.yaml:1: unknown key 'queues', did you mean 'queue'? expected one of queue"),
        (entry("ratee: 1/s"), "queue.yaml:3: unknown key 'ratee', did you mean 'rate'?"),
        (entry("<<: {}"), "queue.yaml:3: unknown key '<<'"),
        (entry("? [a]\n: b"), "queue.yaml:3: unknown key 'a list'"),
        (entry("mode: pop"), "queue.yaml:3: mode: found 'pop', expected push or pull"),
        (
            entry("rate: 5"),
            "found '5', expected 0, or a number and a unit like 5/s, 0.5/m, 10/h or 100/d (did you mean 5/s?)",
        ),
        (entry("rate: [5/s]"), "queue.yaml:3: rate: found a list, expected 0, or a number"),
        (entry("bucket_size: many"), "queue.yaml:3: bucket_size: found 'many', expected a whole number"),
        (entry("bucket_size: .inf"), "queue.yaml:3: bucket_size: found '.inf', expected a whole number"),
        (entry("bucket_size: 2001-01-01"), "queue.yaml:3: bucket_size: found '2001-01-01', expected"),
        (entry("bucket_size: 2001-99-99"), "queue.yaml:3: bucket_size: found '2001-99-99', expected"),
        (entry("bucket_size: !!int x"), "queue.yaml:3: bucket_size: found 'x', expected"),
        (entry("bucket_size: !foo 5"), "queue.yaml:3: bucket_size: found '5', expected"),
        (entry("bucket_size: 1e999"), "queue.yaml:3: bucket_size: found '1e999', expected a whole number"),
        ("queue:\n- name: 7.0\n", "queue.yaml:2: name: found '7.0', expected 1 to 100 letters"),
        (entry("target: Backend"), "queue.yaml:3: target: found 'Backend', expected a module or version.module"),
        (entry("target: 1.v.m"), "queue.yaml:3: target: found '1.v.m'"),
        (entry("target: -m"), "queue.yaml:3: target: found '-m'"),
        (
            entry("retry_parameters: []"),
            "queue.yaml:3: retry_parameters: found a list, expected a mapping of task_retry",
        ),
        (
            entry("retry_parameters:\n  retry_limit: 1"),
            "queue.yaml:4: retry_parameters: unknown key 'retry_limit', did you",
        ),
        (
            entry("retry_parameters:\n  task_retry_limit: -1"),
            "queue.yaml:4: retry_parameters.task_retry_limit: found '-1', expected a whole number, 0 or more",
        ),
        (
            entry("retry_parameters:\n  max_backoff_seconds: 1\n  min_backoff_seconds: 2"),
            "queue.yaml:5: retry_parameters.min_backoff_seconds: found 2, expected at most max_backoff_seconds, 1",
        ),
        (
            entry("retry_parameters: {min_backoff_seconds: .nan}"),
            "queue.yaml:3: retry_parameters.min_backoff_seconds: found '.nan', expected a number of seconds, 0 or more",
        ),
        (entry("mode: pull\nacl: {user_email: a}"), "queue.yaml:4: acl: found a mapping, expected a list"),
        (entry("mode: pull\nacl: [{email: a}]"), "queue.yaml:4: acl: unknown key 'email', did you mean 'user_email'?"),
        (entry("x-gae-broker: {colour: red}"), "queue.yaml:3: x-gae-broker: unknown key 'colour'"),
        (
            entry("x-gae-broker: {dispatch_deadline: 14s}"),
            "queue.yaml:3: x-gae-broker.dispatch_deadline: found '14s', expected 15s to 24h",
        ),
        (entry("x-gae-broker: {dispatch_deadline: 25h}"), "found '25h', expected 15s to 24h"),
        ("resume_paused_queues: 1\n", "queue.yaml:1: resume_paused_queues: found '1', expected true or false"),
        ("resume_paused_queues: 'yes'\n", "queue.yaml:1: resume_paused_queues: found 'yes', expected true or false"),
        ("application: Shop\n", "queue.yaml:1: application: found 'Shop', expected an application id"),
        ("queue: [\n", "queue.yaml:2: not valid YAML:"),
        ("queue:\n\t- name: a\n", "queue.yaml:2: not valid YAML:"),
        ("queue:\n- name: \x07\n", "queue.yaml:2: not valid YAML:"),
        ("queue: *nowhere\n", "queue.yaml:1: not valid YAML: found undefined alias"),
        ("[" * 5000, "nested too deeply"),
    ],
)
def test_what_does_not_load_says_where_what_and_what_was_expected(text: str, error: str) -> None:
    with pytest.raises(QueueYamlError) as raised:
        parse(text)
    assert error in str(raised.value)


def test_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "queue.yaml"
    path.write_text(entry("rate: 5/x"), "utf-8")
    with pytest.raises(QueueYamlError) as raised:
        load_path(path)
    assert str(raised.value).startswith(f"{path}:3: rate: found '5/x', expected 0, or a number and a unit")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "queue.yaml"
    with pytest.raises(QueueYamlError, match=r"queue.yaml: cannot be read: No such file"):
        load_path(path)
    path.write_bytes(b"queue:\n- name: a\xff\n")
    with pytest.raises(QueueYamlError, match=r"queue.yaml:2: found a byte that is not UTF-8"):
        load_path(path)
    path.write_bytes("\ufeffqueue:\n- name: a\n".encode())
    assert "a" in load_path(path).queues
