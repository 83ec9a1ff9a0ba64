"""The setting `shim`, as people write it."""

import pytest

from gae_broker.domain.shim import Shim, parse


@pytest.mark.parametrize(
    ("written", "shim"),
    [
        ("", Shim.OFF),
        ("0", Shim.OFF),
        (False, Shim.OFF),
        ("off", Shim.OFF),
        ("1", Shim.NAMES),
        (1, Shim.NAMES),
        (True, Shim.NAMES),
        (" Yes ", Shim.NAMES),
        ("service", Shim.SERVICE),
    ],
)
def test_what_is_read(written: object, shim: Shim):
    assert parse(written) is shim
    assert parse(str(shim)) is shim


def test_what_is_not():
    with pytest.raises(ValueError, match="one of 0, 1, service"):
        parse("2")
