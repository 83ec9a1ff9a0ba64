"""Types of arguments: times, moments, pairs."""

from __future__ import annotations

import datetime

import click

from gae_broker.domain.setting_values import seconds


class Time(click.ParamType):  # type: ignore[type-arg]  # generic only in recent releases of click
    """A time like ``30``, ``90s``, ``10m`` or ``2h``, as seconds."""

    name = "time"

    def __init__(self, least: float, most: float) -> None:
        self._parse = seconds(least, most)

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds."""
        try:
            return self._parse(value)
        except ValueError as exc:
            self.fail(f"{value!r}, expected {exc}", param, ctx)


class Moment(click.ParamType):  # type: ignore[type-arg]  # generic only in recent releases of click
    """A moment in ISO 8601; without a time zone it is local time."""

    name = "moment"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime.datetime:
        """The moment, with its time zone."""
        if isinstance(value, datetime.datetime):
            return value
        try:
            return datetime.datetime.fromisoformat(str(value)).astimezone(datetime.UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r}, expected a moment like 2026-12-24T18:00:00Z", param, ctx)


class Pair(click.ParamType):  # type: ignore[type-arg]  # generic only in recent releases of click
    """Two texts with a separator between them, as NAME=VALUE or 'Name: value'."""

    def __init__(self, separator: str) -> None:
        self._separator = separator
        self.name = f"NAME{separator}VALUE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """The two texts."""
        if isinstance(value, tuple):
            return value
        name, separator, text = str(value).partition(self._separator)
        if not separator or not name.strip():
            self.fail(f"{value!r}, expected {self.name}", param, ctx)
        return name.strip(), text.strip() if self._separator == ":" else text
