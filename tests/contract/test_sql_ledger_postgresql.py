"""What the SQL ledger does when its PostgreSQL server is away, slow, or in somebody else's way."""

import contextlib
import secrets
import select
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from gae_broker.domain.message import Message
from gae_broker.domain.task import Kind
from gae_broker.errors import LedgerUnavailableError
from gae_broker.ports import CheckStatus, Claim, Move
from gae_broker.testing.contracts.ledger_bench import NOW_US, TAKEOVER_US, UNTIL_US, FixedClock
from gae_broker_adapters.ledgers.sql import SqlLedger, guarded, open_ledger, postgresql


class Proxy:
    """Stands between ledger and server, to be cut, closed, or turned into a black hole."""

    def __init__(self, host: str, port: int) -> None:
        self._server = host, port
        self._flows = threading.Event()
        self._flows.set()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads: list[threading.Thread] = []
        self.port = 0
        self.open()

    def open(self) -> None:
        """Take connections, on the same port as before."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept, self._listener)

    def cut(self) -> None:
        """End every connection there is."""
        for pair in self._pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def shut(self) -> None:
        """Refuse connections, and end those there are."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def freeze(self) -> None:
        """Forward nothing more, and keep every connection."""
        self._flows.clear()

    def thaw(self) -> None:
        """Go on."""
        self._flows.set()

    def end(self) -> None:
        """Leave nothing behind."""
        self.thaw()
        with contextlib.suppress(OSError):
            self.shut()
        for thread in self._threads:
            thread.join()
        for pair in self._pairs:
            for end in pair:
                end.close()

    def _start(self, run, *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._server)
            self._pairs.append((near, far))
            self._start(self._forward, near, far)

    def _forward(self, near: socket.socket, far: socket.socket) -> None:
        other = {near: far, far: near}
        with contextlib.suppress(OSError):
            while True:
                for end in select.select([near, far], [], [])[0]:
                    data = end.recv(65536)
                    self._flows.wait()
                    if not data:
                        raise ConnectionError
                    other[end].sendall(data)
        for end in other:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(postgresql_url) -> Iterator[Proxy]:
    url = sa.make_url(postgresql_url)
    proxy = Proxy(url.host, url.port or 5432)
    yield proxy
    proxy.end()


@pytest.fixture
def url(postgresql_url, proxy) -> str:
    there = sa.make_url(postgresql_url).set(host="127.0.0.1", port=proxy.port)
    return there.render_as_string(hide_password=False)


@pytest.fixture
def ledger(url) -> Iterator[SqlLedger]:
    ledger = opened(url)
    ledger.migrate()
    ledger.delete("q", ["a", "b"], 0, 0, False)
    ledger.free("q", None)
    yield ledger
    ledger.close()


def opened(url: str) -> SqlLedger:
    return open_ledger(url, clock=FixedClock())


def claim(ledger: SqlLedger, name: str) -> str:
    wish = Claim(Message(f"copy-{name}", Kind.PUSH, "q", name, 0, "{}", b"\x00body"), True, NOW_US)
    return ledger.claim("q", [wish], NOW_US, TAKEOVER_US)[0].result.value


def assert_works(ledger: SqlLedger) -> None:
    assert claim(ledger, "a") == "granted"
    assert ledger.delete("q", ["a"], NOW_US, UNTIL_US, False) == ["deleted"]
    ledger.free("q", ["a"])


def test_connections_that_died_are_replaced_unnoticed(ledger, proxy) -> None:
    for _ in range(2):
        assert_works(ledger)
        proxy.cut()
        assert ledger.facts("q", ["none"]) == {}
        proxy.cut()


def test_backends_that_the_administrator_ended_are_replaced_unnoticed(ledger, postgresql_url) -> None:
    assert_works(ledger)
    engine = sa.create_engine(postgresql_url)
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'gae-broker ledger'"
        )
    engine.dispose()
    assert_works(ledger)


def test_a_server_that_is_away_is_told_and_found_again(ledger, proxy) -> None:
    proxy.shut()
    with pytest.raises(LedgerUnavailableError, match="cannot be reached"):
        claim(ledger, "a")
    with pytest.raises(LedgerUnavailableError):
        ledger.facts("q", ["a"])
    assert {check.status for check in ledger.check()} == {CheckStatus.FAILED}
    proxy.open()
    assert_works(ledger)


def test_a_server_that_does_not_answer_is_not_waited_for(ledger, proxy, monkeypatch) -> None:
    """It keeps the connection and acknowledges every packet, as a suspended process does."""
    monkeypatch.setattr(guarded.GuardedConnection, "patience_s", 0.3)
    ledger._connections._start_over()
    assert_works(ledger)
    proxy.freeze()
    with pytest.raises(LedgerUnavailableError, match="cannot be reached"):
        claim(ledger, "b")
    proxy.thaw()
    assert_works(ledger)


def test_a_server_that_takes_connections_and_does_not_answer_is_not_waited_for(url, proxy) -> None:
    proxy.freeze()
    there = opened(f"{url}?connect_timeout=2")
    with pytest.raises(LedgerUnavailableError, match="cannot be reached"):
        there.facts("q", ["a"])
    proxy.thaw()
    there.close()


def test_a_commit_of_which_nobody_knows_is_an_error_and_not_done_again(ledger, proxy) -> None:
    runs = []

    def work(connection: sa.Connection) -> None:
        runs.append(connection.execute(sa.text("SELECT 1")).scalar_one())
        proxy.cut()

    with pytest.raises(LedgerUnavailableError):
        ledger._connections.write(work)
    assert runs == [1]
    assert_works(ledger)


@pytest.mark.parametrize("state", ["40001", "40P01"])
def test_what_collided_is_done_again(ledger, state) -> None:
    runs = []

    def work(connection: sa.Connection) -> int:
        runs.append(1)
        if len(runs) < 3:
            connection.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}'; END $$")
        return len(runs)

    assert ledger._connections.write(work) == 3


def test_two_transactions_that_wait_for_each_other_both_end(ledger) -> None:
    for name in "ab":
        claim(ledger, name)
    meeting = threading.Barrier(2)
    met: set[str] = set()

    def lock_both(first: str, second: str) -> str:
        def work(connection: sa.Connection) -> str:
            lock = sa.text("SELECT 1 FROM ledger_tasks WHERE queue = 'q' AND name = :name FOR UPDATE")
            connection.execute(lock, {"name": first})
            if first not in met:
                met.add(first)
                meeting.wait(30)
            connection.execute(lock, {"name": second})
            return first

        return ledger._connections.write(work)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lock_both, "ab", "ba")) == ["a", "b"]


def test_many_threads_on_the_same_rows(ledger) -> None:
    """Batches in any order lock in one."""
    run = secrets.token_hex(4)
    names = [f"task-{run}-{number}" for number in range(20)]

    def move(worker: int) -> int:
        won = 0
        for step in range(10):
            order = names if (worker + step) % 2 else names[::-1]
            old = {name: fact.live_copy for name, fact in ledger.facts("q", names).items()}
            moves = [Move(n, old.get(n) or "first", f"c-{worker}-{step}", NOW_US, 1, False, NOW_US) for n in order]
            won += sum(ledger.advance("q", moves, NOW_US))
        return won

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(move, range(6))) >= len(names)
    ledger.delete("q", names, NOW_US, 0, False)


def test_a_statement_that_takes_too_long_is_ended_by_the_server(ledger, monkeypatch) -> None:
    options = postgresql._CONNECT["options"].replace(
        f"statement_timeout={postgresql.STATEMENT_S}s", "statement_timeout=50"
    )
    monkeypatch.setitem(postgresql._CONNECT, "options", options)
    ledger._connections._start_over()
    sleep = sa.text("SELECT pg_sleep(0.2)")
    with pytest.raises(LedgerUnavailableError, match="took too long"):
        ledger._connections.write(lambda connection: connection.execute(sleep))

    def allowed(connection: sa.Connection) -> int:
        ledger._connections.database.allow_long(connection)
        connection.execute(sleep)
        return 7

    assert ledger._connections.write(allowed) == 7
    with pytest.raises(LedgerUnavailableError, match="took too long"):
        ledger._connections.write(lambda connection: connection.execute(sleep))


def test_the_pool_is_bounded(ledger, monkeypatch) -> None:
    for name, value in (("_KEPT", 1), ("_BEYOND", 1), ("_POOL_WAIT_S", 0.1)):
        monkeypatch.setattr(postgresql, name, value)
    ledger._connections._start_over()
    meeting, go_on = threading.Barrier(3), threading.Event()

    def hold(_: sa.Connection) -> None:
        meeting.wait(30)
        go_on.wait(30)

    with ThreadPoolExecutor(2) as pool:
        held = [pool.submit(ledger._connections.read, hold) for _ in range(2)]
        meeting.wait(30)
        with pytest.raises(LedgerUnavailableError, match="all 2 connections of this process are busy"):
            ledger.facts("q", ["a"])
        go_on.set()
        for future in held:
            future.result()
    assert_works(ledger)


def test_no_error_shows_the_password(url) -> None:
    there = opened(
        sa.make_url(url).set(username="nobody-here", password="s3cret").render_as_string(hide_password=False)
    )
    with pytest.raises(LedgerUnavailableError) as raised:
        there.facts("q", ["a"])
    assert "s3cret" not in str(raised.value)
    there.close()
