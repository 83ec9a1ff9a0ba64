"""The reference pages say what the code says."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from gae_broker.domain import queue_yaml
from gae_broker.domain.queue_yaml import entry, extensions, parser, retry
from gae_broker.errors import QueueYamlError
from gae_broker.settings import OPTIONS, key, variable

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "docs" / "reference"


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_reference", ROOT / "docs" / "generate_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_generated_pages_are_fresh() -> None:
    for path, text in generator().pages().items():
        assert path.read_text("utf-8") == text, f"{path.name} is stale: python docs/generate_reference.py"


@pytest.mark.parametrize("name", OPTIONS)
def test_every_setting_is_documented(name: str) -> None:
    page = (REFERENCE / "settings.md").read_text("utf-8")
    assert f"| `{key(name)}` | `{variable(name)}`" in page


def test_every_command_and_option_is_documented() -> None:
    page = (REFERENCE / "cli.md").read_text("utf-8")
    for command in (
        "dev",
        "dispatch",
        "serve",
        "queues purge",
        "tasks lease",
        "config show",
        "check",
        "adapters",
        "migrate",
        "completion",
    ):
        assert f"## gae-broker {command}\n" in page
    for option in ("--app", "--port", "--reset", "--queues", "--processes", "--drain-timeout", "--yes", "--no-color"):
        assert f"`{option}`" in page
    assert "GAE_BROKER_DEV_PORT" in page


@pytest.mark.parametrize("found", [*parser.KEYS, *entry.KEYS, *entry.ACL_KEYS, *retry.KEYS, *extensions.KEYS])
def test_every_key_of_queue_yaml_is_documented(found: str) -> None:
    assert f"`{found}`" in (REFERENCE / "queue-yaml.md").read_text("utf-8")


def test_the_error_in_the_page_is_the_parsers() -> None:
    page = (REFERENCE / "queue-yaml.md").read_text("utf-8")
    text = "queue:\n- name: q\n" + "#\n" * 9 + "  rate: 5/x\n"
    with pytest.raises(QueueYamlError) as raised:
        queue_yaml.parse(text)
    assert f"    {raised.value}\n" in page


def test_the_sample_queues_load_without_a_warning() -> None:
    file = queue_yaml.load_path(ROOT / "queue.yaml")
    assert file.warnings == ()
    assert list(file.queues) == ["default", "mail", "reports", "pull"]
    assert file.queues["reports"].deadline_us == 1_800_000_000
