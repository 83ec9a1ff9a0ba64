"""Reads the parameters of a request as the method's table says they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gae_broker.web.rest.answers import RestError, invalid
from gae_broker.web.rest.methods import COMMON, Method, Parameter
from gae_broker.web.rest.partial import Fields
from gae_broker.web.rest.partial import parse as parse_fields

_INT32 = re.compile(r"[+-]?[0-9]{1,10}")
_BOOLEANS = {"true": True, "false": False}
_MOST = 2**31


@dataclass(frozen=True, slots=True)
class Arguments:
    """The parameters of one request, checked."""

    values: Mapping[str, str | int | bool]
    fields: Fields
    pretty: bool

    def text(self, name: str) -> str:
        """A text; ``""`` where it was left out."""
        return str(self.values.get(name, ""))

    def number(self, name: str) -> int:
        """A number that is required."""
        return int(self.values[name])

    def flag(self, name: str) -> bool:
        """A boolean; false where it was left out."""
        return bool(self.values.get(name, False))


def read(method: Method, path: Mapping[str, str], given: Iterable[tuple[str, str]]) -> Arguments:
    """The parameters of a request; names that the method does not know are ignored, as they were.

    Args:
        method: what is asked for.
        path: the parameters in the path.
        given: those in the query, and in a form. Of a repeated one the last counts.

    Raises:
        RestError: 400; the first that is missing or cannot be.
    """
    query = dict(given)
    values: dict[str, str | int | bool] = {}
    for parameter in (*method.parameters, *COMMON):
        text = (path if parameter.in_path else query).get(parameter.name)
        if text is not None:
            values[parameter.name] = _value(parameter, text)
        elif parameter.required:
            message = f"Required parameter: {parameter.name}"
            raise RestError(400, "required", message, parameter=parameter.name)
    fields = parse_fields(str(values["fields"]) if "fields" in values else None)
    return Arguments(values, fields, bool(values.get("prettyPrint", True)))


def _value(parameter: Parameter, text: str) -> str | int | bool:
    kind = parameter.schema["type"]
    if kind == "boolean":
        if text.lower() not in _BOOLEANS:
            raise _wrong(parameter, text, "true or false")
        return _BOOLEANS[text.lower()]
    if kind == "integer":
        if not _INT32.fullmatch(text) or not -_MOST <= int(text) < _MOST:
            raise _wrong(parameter, text, "a number of 32 bits")
        return _bounded(parameter, int(text))
    if parameter.choices and text not in parameter.choices:
        raise _wrong(parameter, text, " or ".join(parameter.choices))
    if parameter.pattern and not re.fullmatch(parameter.pattern.replace("$", r"\Z"), text):
        raise _wrong(parameter, text, parameter.pattern)
    return text


def _bounded(parameter: Parameter, number: int) -> int:
    if parameter.minimum is None or parameter.maximum is None or parameter.minimum <= number <= parameter.maximum:
        return number
    raise _wrong(parameter, str(number), f"{parameter.minimum} to {parameter.maximum}")


def _wrong(parameter: Parameter, text: str, expected: str) -> RestError:
    shown = text if len(text) <= 80 else text[:80] + "..."  # noqa: PLR2004 - what a message has room for
    return invalid(f"{parameter.name}: found {shown!r}, expected {expected}", parameter.name)
