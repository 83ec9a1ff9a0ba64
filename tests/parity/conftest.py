"""The oracle, once for all parity tests of a process."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.parity.oracle import HOW_TO_HAVE_IT, INSTALLED, Oracle


@pytest.fixture(scope="session")
def oracle() -> Iterator[Oracle]:
    """App Engine's library, ready to be asked. Missing, it fails in CI and skips elsewhere."""
    if not INSTALLED.exists():
        if os.environ.get("CI"):
            pytest.fail(HOW_TO_HAVE_IT)
        pytest.skip(HOW_TO_HAVE_IT)
    process = Oracle()
    yield process
    process.close()
