"""The ledger's PostgreSQL, with psycopg."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DataError, DBAPIError, SQLAlchemyError

from gae_broker.errors import Error, LedgerUnavailableError, PublishRejectedError, SettingsError, StorageError
from gae_broker.ports import Check, CheckStatus

_AGAIN = {
    "40001",  # serialization_failure
    "40P01",  # deadlock_detected
    "23505",  # unique_violation: another transaction made a row that this one was about to make
}
_CANCELED = "57014"
_DAMAGED = {"XX001", "XX002"}
_NO_TABLES = {"42P01", "42703"}
_MIGRATION_LOCK = 0x6761_6562  # "gaeb"
STATEMENT_S = 10
"""How long the server may work on one statement."""

_LONG_S = 900
_CONNECT = {
    "connect_timeout": 5,
    # A peer that vanished is noticed within 20 s while nothing is under way, within 10 s otherwise.
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "gae-broker ledger",
    # What waits longer than a caller's patience ends as an error, not as a hang.
    "options": f"-c lock_timeout=5s -c statement_timeout={STATEMENT_S}s -c idle_in_transaction_session_timeout=60s",
}
_KEPT, _BEYOND, _POOL_WAIT_S = 8, 24, 5


class PostgreSQL:
    """See `Database`. Rows are locked in one order; what collides nevertheless is done again.

    Args:
        url: ``postgresql://USER:PASSWORD@HOST/DATABASE``.

    Raises:
        SettingsError: the driver is not installed, or another one is asked for.
    """

    serial = False
    private = False

    def __init__(self, url: sa.URL) -> None:
        if url.drivername not in {"postgresql", "postgresql+psycopg"}:
            raise SettingsError(f"ledger url {url!r}: only the driver psycopg is supported, write postgresql://...")
        self._url = url.set(drivername="postgresql+psycopg")
        self.where = f"the ledger {url.render_as_string(hide_password=True)}"
        try:
            self.open().dispose()
        except ImportError as exc:
            raise SettingsError(f"{self.where} needs psycopg: pip install 'gae-broker[postgresql]'") from exc

    def prepare(self) -> None:
        """The database is made by its administrator."""

    def is_there(self) -> bool:
        """Connecting will tell."""
        return True

    def open(self) -> sa.Engine:
        """A pool of connections. One that died in it is replaced when its next call fails; see `passes`."""
        from gae_broker_adapters.ledgers.sql.guarded import GuardedConnection  # noqa: PLC0415 - an extra

        given = {key: value for key, value in _CONNECT.items() if key not in self._url.query}
        engine = sa.create_engine(
            self._url, connect_args=given, pool_size=_KEPT, max_overflow=_BEYOND, pool_timeout=_POOL_WAIT_S
        )

        def connect(_: object, __: object, args: tuple[str, ...], options: dict[str, Any]) -> GuardedConnection:
            return GuardedConnection.connect(*args, **options)

        def returned(connection: GuardedConnection | None, _: object) -> None:
            if connection is not None:
                connection.patience_s = GuardedConnection.patience_s

        sa.event.listen(engine, "do_connect", connect)
        sa.event.listen(engine, "checkin", returned)
        return engine

    def require_intact(self) -> None:
        """The server sees to it."""

    def begin(self, connection: sa.Connection) -> None:
        """The first statement begins it."""

    def commit(self, connection: sa.Connection) -> None:
        """Commit."""
        connection.commit()

    def rollback(self, connection: sa.Connection) -> None:
        """Roll back."""
        connection.rollback()

    def exclude_others(self, connection: sa.Connection) -> None:
        """An advisory lock, until the transaction ends."""
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LONG_S}s'")
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))

    def allow_long(self, connection: sa.Connection) -> None:
        """Lift the statements' limit until the transaction ends."""
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{_LONG_S}s'")
        driver: Any = connection.connection.driver_connection
        driver.patience_s = _LONG_S + STATEMENT_S

    def passes(self, exc: SQLAlchemyError, *, committing: bool) -> bool:
        """Whether it collided, or met a connection that had died before; after a lost commit nobody knows."""
        if not isinstance(exc, DBAPIError):
            return False
        return _state(exc) in _AGAIN or (exc.connection_invalidated and not committing)

    def translate(self, exc: SQLAlchemyError) -> Error:
        """By SQLSTATE; where there is none the server was not reached."""
        if isinstance(exc, DataError):
            return PublishRejectedError(f"{self.where} cannot store this ({exc.orig}); PostgreSQL's text has no NUL")
        state = _state(exc)
        cause = str(exc.orig).strip() if isinstance(exc, DBAPIError) else str(exc)
        if state in _DAMAGED:
            return StorageError(f"{self.where} is damaged ({cause}); restore it from a backup")
        if state in _NO_TABLES:
            return StorageError(
                f"{self.where} lacks this release's tables ({cause}); run `gae-broker deploy`, which makes them"
            )
        if isinstance(exc, sa.exc.TimeoutError):
            most = _KEPT + _BEYOND
            return LedgerUnavailableError(f"{self.where}: all {most} connections of this process are busy; try again")
        if state == _CANCELED:
            return LedgerUnavailableError(f"{self.where} took too long ({cause}); try again, and look at its load")
        return LedgerUnavailableError(f"{self.where} {_REMEDIES.get(state[:2], _OTHER).format(cause)}")

    def now_us(self, connection: sa.Connection) -> int:
        """The server's clock, read now and not when the transaction began."""
        return int(connection.execute(sa.text("SELECT extract(epoch FROM clock_timestamp()) * 1000000")).scalar_one())

    def health(self, connection: sa.Connection) -> list[Check]:
        """Whether what it confirms is on disk."""
        durable = connection.execute(sa.text("SHOW synchronous_commit")).scalar_one()
        if durable == "off":
            text = "synchronous_commit is off: a crash of the server may undo what was confirmed; set it to on"
            return [Check("ledger durability", CheckStatus.WARNING, text)]
        return [Check("ledger durability", CheckStatus.OK, f"synchronous_commit is {durable}")]


_OTHER = "cannot be used now ({}); try again"
_REMEDIES = {
    "": "cannot be reached ({}); see that the server runs and that host, port and password are right",
    "08": "was lost ({}); try again",
    "25": "takes no writes ({}); connect to the primary",
    "28": "refused the login ({}); correct user and password",
    "3D": "does not exist ({}); create the database",
    "42": "refused a statement ({}); grant the ledger's user its rights, CREATE on the schema included",
    "53": "has no room ({}); free disk space or connections, then try again",
    "55": "stayed locked ({}); try again, and look for a long transaction",
    "57": "is shutting down or starting ({}); try again",
}


def _state(exc: SQLAlchemyError) -> str:
    orig = exc.orig if isinstance(exc, DBAPIError) else None
    return str(getattr(orig, "sqlstate", None) or "")
