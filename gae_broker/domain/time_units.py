"""The units that times are written in."""

from __future__ import annotations

UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
"""Seconds of a second, a minute, an hour and a day."""
