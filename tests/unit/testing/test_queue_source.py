"""Where a test's queues come from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from gae_broker.domain.queue import AclEntry, Mode, Queue, QueueFile
from gae_broker.errors import QueueYamlError, UnknownQueueError
from gae_broker.testing.queue_source import QueueSource, SourceCatalog, read_queues

YAML = """\
queue:
- name: mail
  rate: 2/s
- name: labels
  mode: pull
"""


def shape(file: QueueFile) -> dict[str, tuple[str, float]]:
    return {name: (queue.mode.value, queue.rate_per_s) for name, queue in file.queues.items() if name != "default"}


EXPECTED = {"mail": ("push", 2.0), "labels": ("pull", 5.0)}


@pytest.mark.parametrize(
    "queues",
    [
        YAML,
        {"queue": [{"name": "mail", "rate": "2/s"}, {"name": "labels", "mode": "pull"}]},
        {"mail": {"rate": "2/s"}, "labels": {"mode": "pull"}},
    ],
    ids=["text", "queue.yaml's shape", "entries by name"],
)
def test_queues_are_read_from_what_is_at_hand(queues: str | Mapping[str, object]) -> None:
    file = read_queues(queues)
    assert {name: values[0] for name, values in shape(file).items()} == {"mail": "push", "labels": "pull"}
    assert file.queues["mail"].rate_per_s == 2.0
    assert "default" in file.queues


def test_queues_are_read_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "queue.yaml"
    path.write_text(YAML)
    assert read_queues(path).queues.keys() == read_queues(str(path)).queues.keys() == {"mail", "labels", "default"}


def test_an_entry_named_only_is_a_push_queue() -> None:
    assert read_queues({"mail": None}).queues["mail"].mode is Mode.PUSH


def test_a_bad_entry_is_refused_as_in_a_file() -> None:
    with pytest.raises(QueueYamlError, match="bucket"):
        read_queues({"mail": {"bucket": 5}})


def test_a_queueinfo_object_is_understood() -> None:
    retry = SimpleNamespace(task_retry_limit=3, task_age_limit="2h", min_backoff_seconds=0.5, max_doublings=None)
    entry = SimpleNamespace(name="mail", rate="2/s", bucket_size=7, retry_parameters=retry, target="backend", acl=None)
    acl = [SimpleNamespace(user_email="a@b.example", writer_email=None)]
    pull = SimpleNamespace(name="labels", mode="pull", acl=acl)
    source = QueueSource()
    source.parser = lambda _: SimpleNamespace(queue=[entry, pull], total_storage_limit="1M")
    file = source.load()
    assert source.load() is file
    mail = file.queues["mail"]
    assert (mail.rate_per_s, mail.bucket_size, mail.target) == (2.0, 7, "backend")
    assert (mail.retry.limit, mail.retry.age_limit_s, mail.retry.min_backoff_s) == (3, 7200, 0.5)
    assert file.queues["labels"].acl == (AclEntry("a@b.example"),)
    assert file.total_storage_limit == 1024 * 1024
    entry.bucket_size = 8
    assert source.load().queues["mail"].bucket_size == 8


def test_a_parser_that_answers_none_leaves_the_default_queue() -> None:
    source = QueueSource()
    source.parser = lambda _: None
    assert source.load().queues.keys() == {"default"}


def test_a_parser_gets_the_root_path_and_supersedes_the_file(tmp_path: Path) -> None:
    (tmp_path / "queue.yaml").write_text(YAML)
    source = QueueSource(str(tmp_path))
    roots: list[str | None] = []

    def parser(root: str | None) -> str:
        roots.append(root)
        return "queue:\n- name: other\n  rate: 1/s\n"

    source.parser = parser
    assert source.load().queues.keys() == {"other", "default"}
    assert roots == [str(tmp_path)]


@pytest.mark.parametrize("name", ["queue.yaml", "queue.yml"])
def test_the_root_path_is_searched(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(YAML)
    assert "mail" in QueueSource(str(tmp_path)).load().queues


def test_the_config_path_supersedes_the_root_path(tmp_path: Path) -> None:
    (tmp_path / "queue.yaml").write_text(YAML)
    other = tmp_path / "other.yaml"
    other.write_text("queue:\n- name: other\n  rate: 1/s\n")
    assert QueueSource(str(tmp_path), str(other)).load().queues.keys() == {"other", "default"}


def test_a_catalog_sees_a_changed_file_at_its_next_answer_and_drops_what_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "queue.yaml"
    path.write_text(YAML)
    catalog = SourceCatalog(QueueSource(str(tmp_path)))
    declared: list[str] = []
    catalog.declare_with(lambda queues: declared.extend(queue.name for queue in queues))
    assert catalog.get("mail").rate_per_s == 2.0
    path.write_text("queue:\n- name: fresh\n  rate: 3/s\n")
    os.utime(path, ns=(1, 1))
    assert catalog.get("fresh").rate_per_s == 3.0
    assert "fresh" in declared
    with pytest.raises(UnknownQueueError):
        catalog.get("mail")


def test_a_catalog_says_what_is_wrong_with_a_changed_file(tmp_path: Path) -> None:
    path = tmp_path / "queue.yaml"
    path.write_text(YAML)
    catalog = SourceCatalog(QueueSource(str(tmp_path)))
    path.write_text("queue:\n- name: mail\n  rate: fast\n")
    with pytest.raises(QueueYamlError, match="fast"):
        catalog.get("mail")


def test_with_all_valid_any_name_is_a_push_queue() -> None:
    catalog = SourceCatalog(QueueSource(), all_valid=True)
    assert catalog.get("whatever") == Queue("whatever")
    assert "whatever" in [queue.name for queue in catalog.queues()]
