"""What ``gae-broker check`` finds about signing: who could send a task's request besides the dispatcher."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from gae_broker.domain.loopback import is_loopback
from gae_broker.domain.security_settings import Unsigned, UnsignedPayloads
from gae_broker.domain.setting_values import mask
from gae_broker.engine.targets.authorizing import check_hooks
from gae_broker.errors import ConfigurationError
from gae_broker.ports import Check, CheckStatus
from gae_broker.settings import Settings, variable

_NAME = "signing"


def security_checks(settings: Settings) -> Iterator[Check]:
    """Each finding; imports no hook and asks nobody."""
    remote = {name: spec for name, spec in settings.targets.items() if "://" in spec and not _is_here(spec)}
    if settings.signing_keys:
        yield from _keys(settings)
    elif not remote:
        text = f"requests and deferred calls are not signed: there is no {variable('signing_keys')}"
        yield Check(_NAME, CheckStatus.OK, f"{text}; every target is on this machine")
    for name, spec in remote.items():
        label = f"target {name}"
        if not settings.signing_keys:
            text = f"{mask(spec)} is not on this machine and cannot tell our requests from others: nothing is signed"
            yield Check(label, CheckStatus.WARNING, f"{text}; set {variable('signing_keys')} here and there")
        if name in settings.authorization and urlsplit(spec).scheme != "https":
            text = f"{mask(spec)} gets its authorization where others can read it; use https"
            yield Check(label, CheckStatus.WARNING, text)
    try:
        check_hooks(settings.authorization, settings.targets)
    except ConfigurationError as exc:
        yield Check("authorization", CheckStatus.FAILED, str(exc))


def _keys(settings: Settings) -> Iterator[Check]:
    first, *others = (repr(key.id) for key in settings.signing_keys.keys)
    also = f"; valid too: {', '.join(others)}" if others else ""
    yield Check(_NAME, CheckStatus.OK, f"requests and deferred calls are signed with {first}{also}")
    if settings.deferred_unsigned == UnsignedPayloads.ACCEPT:
        text = "deferred calls without a signature are made; end this once those from before the keys are done"
        yield Check(_NAME, CheckStatus.WARNING, f"{text}: unset {variable('deferred_unsigned')}")
    if settings.unsigned_requests == Unsigned.LOOPBACK:
        text = f"there are keys: an application would not start with {variable('unsigned_requests')}=loopback; unset it"
        yield Check(_NAME, CheckStatus.FAILED, text)


def _is_here(target: str) -> bool:
    return is_loopback(urlsplit(target).hostname or "")
