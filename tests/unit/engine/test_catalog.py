from __future__ import annotations

import logging
import os

import pytest

from gae_broker import errors
from gae_broker.domain.queue import Mode, Queue, QueueFile
from gae_broker.domain.task import Kind
from gae_broker.engine.catalog import Catalog, kind_of, require_pull

ONE = "queue:\n- name: one\n  rate: 1/s\n"
TWO = ONE + "- name: two\n  mode: pull\n"
BAD = "queue:\n- name: one\n  rate: often\n"


@pytest.fixture
def declared():
    return []


@pytest.fixture
def path(tmp_path):
    return tmp_path / "queue.yaml"


def write(path, text):
    """Change the file, so that its time differs however coarse the file system's clock is."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(before + 10**9, before + 10**9))


@pytest.fixture
def catalog(path, declared):
    write(path, ONE)
    return Catalog(path, declare=lambda queues: declared.append([queue.name for queue in queues]))


def names(catalog):
    return sorted(queue.name for queue in catalog.queues())


def test_an_absent_file_means_the_default_queue_alone(path):
    catalog = Catalog(str(path))
    assert names(catalog) == ["default"]
    assert catalog.get("default") == Queue("default")
    assert not catalog.reload_if_changed()


def test_a_file_read_by_somebody_else():
    file = QueueFile()
    catalog = Catalog(file)
    assert catalog.file is file
    assert not catalog.reload_if_changed()


def test_an_unknown_queue_says_which_there_are(catalog, path):
    with pytest.raises(errors.UnknownQueueError) as caught:
        catalog.get("tow")
    assert str(caught.value) == f"queue 'tow' is not in {path}; it has: default, one"


def test_a_file_that_cannot_be_used_from_the_start(path):
    write(path, BAD)
    with pytest.raises(errors.QueueYamlError, match="rate"):
        Catalog(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(errors.ConfigurationError):
        Catalog(path)


def test_reload(catalog, path, declared):
    assert not catalog.reload_if_changed()
    write(path, TWO)
    assert catalog.reload_if_changed()
    assert not catalog.reload_if_changed()
    assert names(catalog) == ["default", "one", "two"]
    assert [sorted(queues) for queues in declared] == [["default", "one", "two"]]


def test_what_is_in_force_after_a_change_is_logged(catalog, path, caplog):
    write(path, TWO)
    with caplog.at_level(logging.INFO):
        catalog.reload_if_changed()
        path.unlink()
        catalog.reload_if_changed()
        catalog.reload_if_changed()
    changed, gone = [record.getMessage() for record in caplog.records]
    assert changed.startswith(f"{path} changed, in force now: ")
    assert "two (pull)" in changed
    assert gone == f"{path} is gone: only the queue 'default' exists"


def test_a_changed_file_is_warned_of_as_at_the_start(catalog, path, caplog):
    write(path, "queue:\n- name: one\n  rate:\n")
    with caplog.at_level(logging.WARNING):
        assert catalog.reload_if_changed()
    assert catalog.file.warnings
    assert [record.getMessage() for record in caplog.records] == list(catalog.file.warnings)


def test_touching_the_file_changes_nothing(catalog, path):
    write(path, ONE)
    assert not catalog.reload_if_changed()


def test_a_new_queue_is_found_without_being_asked_to_reload(catalog, path):
    write(path, TWO)
    assert catalog.get("two").mode is Mode.PULL


def test_a_removed_file_leaves_the_default_queue(catalog, path):
    path.unlink()
    assert catalog.reload_if_changed()
    assert names(catalog) == ["default"]


def test_a_bad_file_is_logged_once_and_changes_nothing(catalog, path, declared, caplog):
    write(path, BAD)
    with caplog.at_level(logging.WARNING):
        assert not catalog.reload_if_changed()
        assert not catalog.reload_if_changed()
    assert len(caplog.records) == 1
    assert "queue.yaml:3" in caplog.text
    assert names(catalog) == ["default", "one"]
    assert declared == []
    write(path, TWO)
    assert catalog.reload_if_changed()


def test_queues_that_cannot_be_declared_are_tried_again(path, caplog):
    down = []

    def declare(queues):
        if down:
            raise errors.BrokerUnavailableError("down")

    write(path, ONE)
    catalog = Catalog(path, declare=declare)
    write(path, TWO)
    down.append(True)
    with caplog.at_level(logging.WARNING):
        assert not catalog.reload_if_changed()
    assert "could not be declared: down" in caplog.text
    assert names(catalog) == ["default", "one"]
    down.clear()
    assert catalog.reload_if_changed()
    assert names(catalog) == ["default", "one", "two"]


def test_all_names_valid_makes_push_queues_and_declares_them(declared):
    catalog = Catalog(
        QueueFile(), all_valid=True, declare=lambda queues: declared.append([queue.name for queue in queues])
    )
    assert catalog.get("any") == Queue("any")
    assert catalog.get("any") is catalog.get("any")
    assert declared == [["any"]]
    assert names(catalog) == ["any", "default"]


def test_kinds_and_modes(path):
    write(path, TWO)
    catalog = Catalog(path)
    assert (kind_of(catalog.get("one")), kind_of(catalog.get("two"))) == (Kind.PUSH, Kind.PULL)
    assert require_pull(catalog, "two") is catalog.get("two")
    with pytest.raises(errors.InvalidQueueModeError, match="'one' is a push queue"):
        require_pull(catalog, "one")
