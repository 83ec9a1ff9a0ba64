"""The files that settings come from: TOML, and those that hold a single secret."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from gae_broker.errors import SettingsError

FILE_NAME = "gae-broker.toml"
PYPROJECT = "pyproject.toml"


def settings_table(file: str | Path | None) -> tuple[Mapping[str, object], str]:
    """The table that settings stand in, and the name of its file; empty where there is none.

    Args:
        file: the file; ``None``: our own in the working directory, or else ``pyproject.toml`` there.

    Raises:
        SettingsError: it cannot be read, or is no TOML.
    """
    names = [file] if file else [name for name in (FILE_NAME, PYPROJECT) if Path(name).is_file()]
    if not names:
        return {}, ""
    path = Path(names[0])
    document = read_toml(path)
    return tool_table(document) if path.name == PYPROJECT else document, str(path)


def tool_table(document: Mapping[str, object]) -> Mapping[str, object]:
    """The table ``[tool.gae-broker]`` of a ``pyproject.toml``, empty where it has none."""
    tool = document.get("tool")
    table = tool.get("gae-broker", {}) if isinstance(tool, dict) else {}
    return table if isinstance(table, dict) else {}


def read_toml(path: Path) -> Mapping[str, object]:
    """What a TOML file says.

    Raises:
        SettingsError: it cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as exc:
        raise SettingsError(f"{path}: cannot be read: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise SettingsError(f"{path}: not valid TOML: {exc}") from exc


def secret(path: str, key: str) -> str:
    """The value of the variable ``key``, from the file that ``key`` + ``_FILE`` names.

    Raises:
        SettingsError: it cannot be read, or is empty.
    """
    try:
        text = Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "not UTF-8"
        raise SettingsError(f"{key}_FILE: cannot read {path}: {reason}") from exc
    if not text:
        raise SettingsError(f"{key}_FILE: {path} is empty, expected the value of {key}")
    return text
