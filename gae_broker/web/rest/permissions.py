"""Who may do what: queue.yaml's ``acl``, for whoever showed a token."""

from __future__ import annotations

from gae_broker.domain.access_tokens import AccessTokens
from gae_broker.domain.loopback import is_loopback
from gae_broker.domain.queue import Queue
from gae_broker.web.rest.answers import RestError

_BEARER = "bearer"
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="gae-broker"'}


class Caller(str):
    """The address whose token was shown; ``""`` is whoever may do anything, on loopback without tokens."""

    __slots__ = ()


EVERYBODY = Caller("")


def authenticate(tokens: AccessTokens, authorization: str | None) -> Caller:
    """Who shows this ``Authorization`` header.

    Raises:
        RestError: 401, nobody whom we know.
    """
    if not tokens:
        return EVERYBODY
    scheme, _, shown = (authorization or "").partition(" ")
    if scheme.lower() != _BEARER or not shown.strip():
        text = "Login Required: send a token, as 'Authorization: Bearer TOKEN'."
        raise RestError(401, "required", text, headers=_CHALLENGE)
    email = tokens.email_of(shown.strip().encode("utf-8", "surrogateescape"))
    if email is None:
        raise RestError(401, "authError", "Invalid Credentials: nobody has this token.", headers=_CHALLENGE)
    return Caller(email)


def require_local(host: str | None, origin: str | None, site: str | None) -> None:
    """Without tokens whoever reaches this port is believed; make sure that it is no web page in somebody's browser.

    Args:
        host: the ``Host`` header; a foreign name that leads here is a page's trick to read our answers.
        origin: the ``Origin`` header, which browsers send with what a page asks for.
        site: the ``Sec-Fetch-Site`` header.

    Raises:
        RestError: 403, a browser sends this for somebody else's page.
    """
    name = _hostname(host or "")
    foreign = bool(origin) and not is_loopback(_hostname((origin or "").partition("://")[2]))
    if not is_loopback(name) or foreign or site in {"cross-site", "same-site"}:
        raise RestError(
            403, "forbidden", "Without tokens only programs of this machine are served, at localhost; set tokens."
        )


def permit(caller: Caller, queue: Queue, *, writes: bool, reads_only_queue: bool = False) -> None:
    """Let a caller pass whom the queue's ``acl`` names.

    Args:
        caller: who it is.
        queue: the queue.
        writes: whether ``writer_email`` is what permits it, in place of ``user_email``.
        reads_only_queue: whether either does.

    Raises:
        RestError: 403.
    """
    if caller == EVERYBODY:
        return
    users = {entry.user_email.casefold() for entry in queue.acl if entry.user_email}
    writers = {entry.writer_email.casefold() for entry in queue.acl if entry.writer_email}
    permitted = users | writers if reads_only_queue else writers if writes else users
    if caller.casefold() not in permitted:
        key = "writer_email" if writes else "user_email"
        raise RestError(
            403,
            "forbidden",
            f"{caller} may not do this to queue {queue.name!r}: its acl in queue.yaml has no such {key}.",
        )


def _hostname(authority: str) -> str:
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.partition(":")[0]
