"""One suite on Google's own library, with ours beside it in each way there is, on both brokers."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.parity.oracle import HOW_TO_HAVE_IT, INSTALLED, PYTHON
from tests.servers import VERSIONS

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
QUEUES = """
queue:
- name: default
  rate: 5/s
- name: pull
  mode: pull
"""
TOGETHER = """
import {first}
import {second}
try:
    {call}
except ImportError as exc:
    assert "{said}" in str(exc), exc
else:
    raise AssertionError("both at once")
"""


@pytest.fixture(autouse=True)
def _installed() -> None:
    if not INSTALLED.exists():
        if os.environ.get("CI"):
            pytest.fail(HOW_TO_HAVE_IT)
        pytest.skip(HOW_TO_HAVE_IT)


def run(tmp_path: Path, *words: str, **variables: str) -> None:
    (tmp_path / "queue.yaml").write_text(QUEUES)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}",
        "GAE_BROKER_URL": "embedded:///queues.db",
        "GAE_BROKER_QUEUE_YAML": str(tmp_path / "queue.yaml"),
        **variables,
    }
    done = subprocess.run(
        [PYTHON, "-W", "ignore", *words],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("way", ["testbed", "names", "service"])
def test_on_the_embedded_broker(tmp_path: Path, way: str):
    run(tmp_path, str(HERE / "program.py"), way)


@pytest.mark.parametrize("rabbitmq", [VERSIONS[-1]], indirect=True)
@pytest.mark.parametrize("way", ["names", "service"])
def test_on_rabbitmq(tmp_path: Path, rabbitmq_url: str, way: str):
    ledger = f"sqlite:///{tmp_path}/ledger.db"
    run(tmp_path, str(HERE / "program.py"), way, GAE_BROKER_URL=rabbitmq_url, GAE_BROKER_LEDGER=ledger)


@pytest.mark.parametrize(
    ("first", "second", "call", "said"),
    [
        (
            "gae_broker_adapters.appengine",
            "gae_broker_adapters.appengine_service",
            "gae_broker_adapters.appengine_service.register()",
            "is gae-broker's own client already",
        ),
        (
            "gae_broker_adapters.appengine_service",
            "google.appengine.api.taskqueue",
            "import gae_broker_adapters.appengine",
            "was imported before gae-broker took its place",
        ),
    ],
)
def test_names_and_service_exclude_each_other(tmp_path: Path, first: str, second: str, call: str, said: str):
    run(tmp_path, "-c", TOGETHER.format(first=first, second=second, call=call, said=said))
