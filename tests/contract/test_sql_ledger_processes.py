"""The SQL ledger across forks, kills, and beside the embedded broker in one file."""

import subprocess
import sys
import threading

from gae_broker.domain.message import Message
from gae_broker.domain.queue import Mode, Queue
from gae_broker.domain.task import Kind
from gae_broker.ports import Claim, State
from gae_broker.testing.contracts.broker_bench import RealClock
from gae_broker.testing.contracts.ledger_bench import NOW_US, TAKEOVER_US, FixedClock
from gae_broker_adapters.brokers.embedded import open_broker
from gae_broker_adapters.ledgers.sql import open_ledger

PROLOGUE = """
import os, sys
url, sys.path[:] = sys.argv[1], sys.argv[2:]
from gae_broker.domain.message import Message
from gae_broker.domain.task import Kind
from gae_broker.errors import LedgerUnavailableError
from gae_broker.ports import Claim
from gae_broker_adapters.ledgers.sql import open_ledger

class Clock:
    def now_us(self):
        return 2000

def claim(*names):
    claims = [Claim(Message(f"c-{n}", Kind.PUSH, "q", n, 0, "{}", b""), True, 1000) for n in names]
    return [outcome.result.value for outcome in ledger.claim("q", claims, 2000, 1000)]

ledger = open_ledger(url, clock=Clock())
ledger.migrate()
"""

FORKS = """
print(claim("parent"))
for generation in (1, 2):
    child = os.fork()
    if child == 0:
        found = sorted(ledger.facts("q", ["parent", "other"]))
        print("child", claim("parent", f"child-{generation}"), found, flush=True)
        if generation == 2:
            os._exit(7)
    else:
        print("parent", claim(f"parent-{generation}"), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        break
ledger.close()
"""

FORKS_WHILE_WRITING = """
import threading
stop = threading.Event()
def write():
    number = 0
    while not stop.is_set():
        claim(f"writer-{number}")
        number += 1
writer = threading.Thread(target=write)
writer.start()
for generation in range(10):
    child = os.fork()
    if child == 0:
        os._exit(claim(f"child-{generation}") != ["granted"])
    assert os.waitpid(child, 0)[1] == 0
stop.set()
writer.join()
ledger.close()
print("done")
"""

FORKS_AND_CLOSES = """
claim("parent")
closed, close = os.pipe()
read, tell = os.pipe()
child = os.fork()
if child == 0:
    ledger.facts("q", ["parent"])
    os.write(tell, b"read")
    os.read(closed, 1)
    os._exit(claim("child") != ["granted"])
os.read(read, 4)
ledger.close()
os.write(close, b"x")
assert os.waitpid(child, 0)[1] == 0
ledger = open_ledger(url, clock=Clock())
print(sorted(ledger.facts("q", ["parent", "child"])))
ledger.close()
"""

FORKS_WITHOUT_A_FILE = """
claim("parent")
child = os.fork()
if child == 0:
    try:
        claim("child")
    except LedgerUnavailableError as exc:
        print(exc, flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(claim("parent"))
ledger.close()
"""

CLAIMS_FOR_EVER = """
number = 0
while True:
    claim(*(f"{number:06}-{place}" for place in range(5)))
    print(f"{number:06}", flush=True)
    number += 1
"""


def script(code: str, url: str, *options: str) -> list[str]:
    return [
        sys.executable,
        "-W",
        "error",
        "-W",
        "ignore:This process:DeprecationWarning",
        *options,
        "-c",
        PROLOGUE + code,
        url,
        *sys.path,
    ]


def run(code: str, url: str, *options: str) -> list[str]:
    done = subprocess.run(script(code, url, *options), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_forked_processes_use_one_file(tmp_path) -> None:
    lines = run(FORKS, f"sqlite:///{tmp_path}/ledger.db")
    assert sorted(lines) == [
        "['granted']",
        "child ['pending', 'granted'] ['parent']",
        "child ['pending', 'granted'] ['parent']",
        "parent ['granted'] 0",
        "parent ['granted'] 7",
    ]


def test_processes_forked_while_a_thread_writes_can_write(tmp_path) -> None:
    assert run(FORKS_WHILE_WRITING, f"sqlite:///{tmp_path}/ledger.db") == ["done"]


def test_a_parent_that_closes_the_file_leaves_it_to_its_child(tmp_path) -> None:
    """With connections inherited, SQLite would take the parent's locks for the child's and unlink the child's log."""
    assert run(FORKS_AND_CLOSES, f"sqlite:///{tmp_path}/ledger.db") == ["['child', 'parent']"]


def test_a_forked_process_has_no_memory_of_its_parents(tmp_path) -> None:
    refusal, parent = run(FORKS_WITHOUT_A_FILE, "sqlite://")
    assert "belongs to the process that opened it" in refusal
    assert parent == "['pending']"


def test_forked_processes_use_one_server(postgresql_url) -> None:
    names = ["parent", "child-1", "child-2", "parent-1", "parent-2"]
    ledger = open_ledger(postgresql_url, clock=FixedClock())
    ledger.migrate()
    ledger.delete("q", names, 0, 0, False)  # of an earlier run, where the database was given
    # A child must not close its parent's connections, so it ends with them open.
    lines = run(FORKS, postgresql_url, "-W", "ignore::ResourceWarning")
    assert lines.count("child ['pending', 'granted'] ['parent']") == 2
    assert set(ledger.facts("q", names)) == set(names)
    ledger.close()


def test_what_was_answered_outlives_a_kill(tmp_path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    ledger = open_ledger(url, clock=FixedClock())
    answered = []
    for _ in range(3):
        process = subprocess.Popen(script(CLAIMS_FOR_EVER, url), stdout=subprocess.PIPE, text=True)
        answered = [process.stdout.readline().strip() for _ in range(40)]
        process.kill()
        rest, _ = process.communicate()
        answered += [line for line in rest.splitlines() if len(line) == 6]
    names = [f"{number}-{place}" for number in answered for place in range(5)]
    facts = ledger.facts("q", names)
    assert len(facts) == len(names)
    assert {fact.state for fact in facts.values()} == {State.CLAIMED}
    # The call that was under way when it was killed happened as a whole, or not at all.
    following = f"{int(max(answered)) + 1:06}"
    assert len(ledger.facts("q", [f"{following}-{place}" for place in range(5)])) in {0, 5}
    ledger.close()


def test_ledger_and_broker_share_a_file(tmp_path) -> None:
    broker = open_broker(f"embedded:///{tmp_path}/both.db", clock=RealClock())
    broker.declare([Queue("q", mode=Mode.PULL)])
    ledger = open_ledger(f"sqlite:///{tmp_path}/both.db", clock=RealClock())
    ledger.migrate()
    messages = [Message(f"copy-{number}", Kind.PULL, "q", f"task-{number}", 0, "{}", b"") for number in range(200)]

    def publish() -> None:
        for message in messages:
            assert broker.publish([message], 10.0) == [None]

    thread = threading.Thread(target=publish)
    thread.start()
    for message in messages:
        ledger.claim("q", [Claim(message, True, NOW_US)], NOW_US, TAKEOVER_US)
        ledger.confirm("q", [(message.key, message.copy_id)], NOW_US)
    thread.join()
    assert broker.depth(Kind.PULL, "q").ready == len(ledger.facts("q", [m.key for m in messages])) == len(messages)
    ledger.close()
    broker.close()
