"""What a target's requests say in ``Authorization``: a fixed text, or what a hook answers for each of them."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from gae_broker.domain.headers import HttpRequest
from gae_broker.domain.security_settings import Authorization
from gae_broker.engine.targets.applications import load_callable
from gae_broker.errors import ConfigurationError

Hook = Callable[[str, HttpRequest], str | Awaitable[str | None] | None]
"""Called with the target's base URL (an OIDC token's audience) and the request; the header's value, or ``None``."""

_log = logging.getLogger("gae_broker.dispatch")


class AuthorizationError(Exception):
    """The hook failed; the request was not sent."""


class Authorizer:
    """Finds the header's value for each request to one target.

    Args:
        base: the target's base URL.
        authorization: what the settings say of it.

    Raises:
        ConfigurationError: the hook cannot be imported.
    """

    def __init__(self, base: str, authorization: Authorization) -> None:
        self._base = base
        self._credentials = authorization.credentials
        self._hook = cast("Hook", load_callable(authorization.hook)) if authorization.hook else None

    async def value(self, request: HttpRequest) -> str | None:
        """The header's value for a request. A hook that is no coroutine function is called in a thread: it may block.

        Raises:
            AuthorizationError: the hook failed; its message does not repeat the hook's, which may quote a secret.
        """
        hook = self._hook
        if hook is None:
            return self._credentials
        try:
            is_async = inspect.iscoroutinefunction(hook)
            answer = hook(self._base, request) if is_async else await asyncio.to_thread(hook, self._base, request)
            value = await answer if inspect.isawaitable(answer) else answer
        except (Exception, SystemExit) as exc:
            _log.exception("the authorization hook of %s failed", self._base)
            raise AuthorizationError(f"the authorization hook raised {type(exc).__name__}") from exc
        if value is not None and not (isinstance(value, str) and value.isascii() and value.isprintable()):
            raise AuthorizationError(f"the authorization hook answered {type(value).__name__}, no header value")
        return value


def check_hooks(authorizations: Mapping[str, Authorization], targets: Mapping[str, str]) -> None:
    """Check that authorizations are for targets that there are, over HTTP.

    Raises:
        ConfigurationError: one is not.
    """
    for name in authorizations:
        if "://" not in targets.get(name, ""):
            known = ", ".join(sorted(name for name, spec in targets.items() if "://" in spec)) or "none"
            raise ConfigurationError(f"authorization: there is no target {name!r} over HTTP (there are: {known})")
