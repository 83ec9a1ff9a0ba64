"""Readable failures in the contract suites that these tests adopt."""

import pytest

pytest.register_assert_rewrite("gae_broker.testing.contracts")
