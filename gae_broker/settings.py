"""Settings: one table of fields, from which flags, environment variables, the file's keys and the docs are made.

A value comes from the first of: a flag, the environment (``GAE_BROKER_<NAME>``; for secrets also
``GAE_BROKER_<NAME>_FILE``, the path of a file that holds it), the application's own configuration where its framework
has one (`application_configuration`), the file (``gae-broker.toml``, or ``[tool.gae-broker]`` in ``pyproject.toml``),
the default. `Settings.sources` tells which it was.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from gae_broker import application_configuration, configuration_file
from gae_broker.domain import access_tokens, keyring
from gae_broker.domain import security_settings as security
from gae_broker.domain import setting_values as values
from gae_broker.domain import shim as shims
from gae_broker.domain.access_tokens import AccessTokens
from gae_broker.domain.broker_options import BrokerOptions, Declaring, Delays
from gae_broker.domain.keyring import Keyring
from gae_broker.domain.option import Option, described
from gae_broker.domain.security_settings import Authorization, Unsigned, UnsignedPayloads
from gae_broker.domain.setting_values import Processes, mask
from gae_broker.domain.shim import Shim
from gae_broker.errors import SettingsError

PREFIX = "GAE_BROKER_"
FILE_VARIABLE = PREFIX + "CONFIG"
DEFAULT_SOURCE = "default"


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """Everything that can be set. `load` finds the values; the constructor takes them as they are."""

    url: str = field(
        default="embedded:///gae-broker.db",
        metadata=described(
            values.text,
            mask,
            "URL",
            "Broker: amqp(s)://user@host/vhost, embedded:///file.db, or embedded:// in memory.",
            secret=True,
        ),
    )
    ledger: str = field(
        default="",
        metadata=described(
            values.text,
            mask,
            "URL",
            "Ledger: sqlite:///file.db or postgresql://; empty: the broker's file.",
            secret=True,
        ),
    )
    outbox: str = field(
        default="",
        metadata=described(values.text, mask, "URL", "Database to relay tasks from; empty: none.", secret=True),
    )
    queue_yaml: str = field(
        default="queue.yaml",
        metadata=described(
            values.text, str, "FILE", "queue.yaml; where there is none, only the queue 'default' exists."
        ),
    )
    targets: Mapping[str, str] = field(
        default_factory=dict,
        metadata=described(
            values.targets,
            values.show_targets,
            "NAME=TARGET,...",
            "Where tasks are sent, by target name: http(s)://host:port, or module:app to call in process.",
        ),
    )
    processes: Processes = field(
        default=Processes(1, 1),
        metadata=described(
            values.processes, str, "N|MIN-MAX", "Processes that call module:app targets, or bounds of how many."
        ),
    )
    threads: int = field(
        default=10,
        metadata=described(
            values.count(1, 1000), str, "N", "Requests at a time in each process that calls module:app targets."
        ),
    )
    tombstone_s: float = field(
        default=604_800.0,
        metadata=described(
            values.seconds(0, 365 * 86_400), values.show_seconds, "TIME", "How long a name stays taken after its task."
        ),
    )
    publish_deadline_s: float = field(
        default=10.0,
        metadata=described(
            values.seconds(0.1, 3_600), values.show_seconds, "TIME", "How long an add waits for the broker's confirm."
        ),
    )
    claim_takeover_s: float = field(
        default=30.0,
        metadata=described(
            values.seconds(1, 86_400), values.show_seconds, "TIME", "When an unfinished add of a name may be redone."
        ),
    )
    dispatch_deadline_s: float = field(
        default=600.0,
        metadata=described(
            values.seconds(0.1, 86_400), values.show_seconds, "TIME", "A handler's time, unless the task names one."
        ),
    )
    drain_timeout_s: float = field(
        default=30.0,
        metadata=described(
            values.seconds(0, 86_400),
            values.show_seconds,
            "TIME",
            "How long running attempts may finish after SIGTERM.",
        ),
    )
    probe_bind: str = field(
        default="",
        metadata=described(
            values.address, str, "HOST:PORT", "Where dispatch serves /livez and /readyz; empty: nowhere."
        ),
    )
    serve_bind: str = field(
        default="127.0.0.1:8090",
        metadata=described(
            values.address, str, "HOST:PORT", "Where serve listens; beyond this machine only with tokens."
        ),
    )
    serve_tokens: AccessTokens = field(
        default=AccessTokens(),
        metadata=described(
            access_tokens.parse,
            access_tokens.show,
            "EMAIL:TOKEN,...",
            "Who may use the REST API: bearer tokens of the addresses in queue.yaml's acl.",
            hidden=True,
        ),
    )
    prefix: str = field(
        default="gaetq",
        metadata=described(values.prefix, str, "NAME", "First part of the names of all objects in RabbitMQ."),
    )
    declaring: str = field(
        default=Declaring.DECLARE.value,
        metadata=described(
            values.one_of(*Declaring),
            str,
            "declare|verify",
            "Make missing queues in RabbitMQ at start, or only verify that they are there.",
        ),
    )
    delays: str = field(
        default=Delays.WHEEL.value,
        metadata=described(
            values.one_of(*Delays),
            str,
            "wheel|plugin",
            "What delays tasks in RabbitMQ: our queues, or (up to 4.2) its x-delayed-message plugin.",
        ),
    )
    management: str = field(
        default="",
        metadata=described(
            values.text,
            mask,
            "URL",
            "RabbitMQ's management API; empty: port 15672 of the broker's first host, same user.",
            secret=True,
        ),
    )
    default_version_hostname: str = field(
        default="",
        metadata=described(
            values.text, str, "HOST", "Host header of tasks that name no target; empty: the target's own."
        ),
    )
    signing_keys: Keyring = field(
        default=Keyring(),
        metadata=described(
            keyring.parse,
            keyring.show,
            "ID:KEY,...",
            "Keys of requests and deferred calls: the first signs, all verify.",
            hidden=True,
        ),
    )
    signing_window_s: float = field(
        default=300.0,
        metadata=described(
            values.seconds(1, 86_400), values.show_seconds, "TIME", "How old a request's signature may be."
        ),
    )
    signed_paths: tuple[str, ...] = field(
        default=(),
        metadata=described(
            security.paths,
            security.show_items,
            "PATH,...",
            "Besides /_ah/queue: where the middleware lets only signed requests pass.",
        ),
    )
    unsigned_requests: str = field(
        default=Unsigned.REFUSE.value,
        metadata=described(
            values.one_of(*Unsigned),
            str,
            "refuse|loopback",
            "Without keys: refuse task requests, or believe those from this machine.",
        ),
    )
    authorization: Mapping[str, Authorization] = field(
        default_factory=dict,
        metadata=described(
            security.authorization,
            security.show_authorization,
            "NAME=HEADER,...",
            "Authorization of requests by target: Bearer TOKEN, or module:function to ask.",
            hidden=True,
        ),
    )
    deferred_unsigned: str = field(
        default=UnsignedPayloads.REFUSE.value,
        metadata=described(
            values.one_of(*UnsignedPayloads),
            str,
            "refuse|accept",
            "With keys: what to do with deferred calls that are not signed.",
        ),
    )
    deferred_allow: tuple[str, ...] = field(
        default=(),
        metadata=described(
            security.patterns,
            security.show_items,
            "NAME,...",
            "What deferred calls may call, like shop.mail.send,shop.tasks.*; empty: anything.",
        ),
    )
    shim: Shim = field(
        default=Shim.OFF,
        metadata=described(
            shims.parse,
            str,
            "0|1|service",
            "Answer to App Engine's import names (1), or stand behind its API proxy (service).",
        ),
    )
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Where each value came from: ``flag``, a variable's name, a file's name, or ``default``."""

    @property
    def ledger_url(self) -> str:
        """The ledger's URL; where none is set, the embedded broker's own file.

        Raises:
            SettingsError: none is set, and the broker is not the embedded one.
        """
        if self.ledger:
            return self.ledger
        scheme, _, rest = self.url.partition("://")
        if scheme != "embedded":
            raise SettingsError(
                f"ledger: not set, and the broker {scheme}:// keeps none itself; "
                f"set {variable('ledger')}, to sqlite:///file.db or postgresql://user@host/database"
            )
        return "sqlite://" + rest.partition("?")[0]

    @property
    def broker_options(self) -> BrokerOptions:
        """What a broker adapter is told beside its URL."""
        return BrokerOptions(self.prefix, Declaring(self.declaring), Delays(self.delays), self.management)

    def show(self, name: str) -> str:
        """A value as text, passwords masked."""
        return OPTIONS[name].show(getattr(self, name))

    def source(self, name: str) -> str:
        """Where a value came from."""
        return self.sources.get(name, DEFAULT_SOURCE)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={self.show(name)!r}" for name in OPTIONS)
        return f"Settings({shown})"

    @classmethod
    def load(
        cls,
        flags: Mapping[str, object] | None = None,
        environ: Mapping[str, str] | None = None,
        file: str | Path | None = None,
    ) -> Settings:
        """Find every value.

        Args:
            flags: by field name; ``None`` values are not set.
            environ: the environment; ``os.environ`` as it is now by default.
            file: the TOML file; by default the one that ``GAE_BROKER_CONFIG`` names, ``gae-broker.toml``, or
                ``pyproject.toml`` with a ``[tool.gae-broker]`` table, in the working directory.

        Raises:
            SettingsError: a value is malformed or a key unknown; the text names it and its source.
        """
        environ = os.environ if environ is None else environ
        found = from_table(*configuration_file.settings_table(file or environ.get(FILE_VARIABLE) or None))
        found.update(application_configuration.provided())
        found.update(from_variables(environ))
        found.update({name: (value, "flag") for name, value in (flags or {}).items() if value is not None})
        parsed: dict[str, Any] = {name: _parse(name, value, source) for name, (value, source) in found.items()}
        return cls(**parsed, sources={name: source for name, (_, source) in found.items()})


OPTIONS: Mapping[str, Option] = {
    item.name: cast("Option", item.metadata["option"]) for item in dataclasses.fields(Settings) if item.metadata
}
"""Every setting, in order."""


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.removesuffix("_s").upper()


def flag(name: str) -> str:
    """The command line flag of a setting; ``--url`` is a task's there, and ``--target`` is given once for each."""
    special = {"targets": "--target", "url": "--broker-url", "serve_bind": "--bind"}
    return special.get(name, "--" + name.removesuffix("_s").replace("_", "-"))


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Variables that look like a misspelt setting, each with what it was probably meant to be."""
    known = [variable(name) for name in OPTIONS]
    known += [name + "_FILE" for name, option in zip(known, OPTIONS.values(), strict=True) if option.secret]
    found = []
    for name in sorted(environ):
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
        if name.startswith(PREFIX) and name not in known and close:
            found.append(f"{name} is not a setting; did you mean {close[0]}?")
    return found


def _parse(name: str, value: object, source: str) -> object:
    try:
        return OPTIONS[name].parse(value)
    except ValueError as exc:
        shown = "***" if OPTIONS[name].hidden else mask(value) if isinstance(value, str) else value
        raise SettingsError(f"{key(name)} (from {source}): found {shown!r}, expected {exc}") from None


def from_variables(variables: Mapping[str, object], source: str = "{}") -> dict[str, tuple[object, str]]:
    """Values by field name, of what stands under the names of environment variables.

    Args:
        variables: the environment, or what is like it; other names are ignored.
        source: what to call the place of one, with ``{}`` for its name.

    Raises:
        SettingsError: a secret's file cannot be read, or a secret is given twice.
    """
    found: dict[str, tuple[object, str]] = {}
    for name, option in OPTIONS.items():
        key = variable(name)
        if variables.get(key) not in (None, ""):
            found[name] = (variables[key], source.format(key))
        path = variables.get(key + "_FILE") if option.secret else None
        if path:
            if name in found:
                raise SettingsError(f"{name}: both {key} and {key}_FILE are set; unset one of them")
            found[name] = (configuration_file.secret(str(path), key), source.format(key + "_FILE"))
    return found


def from_table(table: Mapping[str, object], source: str) -> dict[str, tuple[object, str]]:
    """Values by field name, of a table with the keys of the TOML file.

    Raises:
        SettingsError: a key is unknown.
    """
    names = {key(name): name for name in OPTIONS}
    found: dict[str, tuple[object, str]] = {}
    for written, value in table.items():
        if written not in names:
            close = difflib.get_close_matches(written, names, n=1)
            hint = f"did you mean '{close[0]}'? " if close else ""
            raise SettingsError(f"{source}: unknown key '{written}', {hint}expected one of {', '.join(names)}")
        found[names[written]] = (value, source)
    return found


def key(name: str) -> str:
    """A setting's key in the TOML file."""
    return name.removesuffix("_s")
