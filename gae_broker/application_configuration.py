"""Settings that stand in the application's own configuration, such as its framework's."""

from __future__ import annotations

from collections.abc import Callable, Mapping

Found = Mapping[str, tuple[object, str]]
"""Values by the setting's field name, each with its source."""


class _Application:
    """The process's application."""

    find: Callable[[], Found] = staticmethod(dict)


_application = _Application()


def provide(find: Callable[[], Found] | None) -> None:
    """Take settings from the application's configuration, too; ``None``: no more.

    Args:
        find: asked whenever settings are loaded; weaker than the environment, stronger than the file.
    """
    _application.find = find or dict


def provided() -> Found:
    """What the application's configuration says now."""
    return _application.find()
