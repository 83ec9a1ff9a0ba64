"""What a test does that cannot have its server."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def unavailable(why: str) -> NoReturn:
    """Skip the test, saying how to have what it needs; in CI (``CI`` is set) fail, for there nothing may be missing."""
    if os.environ.get("CI"):
        pytest.fail(f"CI needs every server: {why}", pytrace=False)
    pytest.skip(why)
