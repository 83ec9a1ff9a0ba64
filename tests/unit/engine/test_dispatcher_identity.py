"""A dispatcher's name in the ledger: for people, and for whoever wants to know whether it still runs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from gae_broker.engine.dispatcher import identity

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody is known to have ended")


def named(pid: int) -> str:
    return identity.own_name().replace(f":{os.getpid()}@", f":{pid}@")


def test_a_name_begins_with_host_and_process():
    assert identity.own_name().startswith(f"{socket.gethostname()}:{os.getpid()}@")


def test_who_runs_has_not_ended():
    assert not identity.has_ended(identity.own_name())


def test_who_was_killed_has_ended_before_and_after_its_parent_asked():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = named(process.pid)
    assert not identity.has_ended(name)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert identity.has_ended(name)
    process.communicate()
    assert identity.has_ended(name)


@pytest.mark.parametrize("name", ["", "host:1", "host:999999999@elsewhere/1", "host:1@"])
def test_of_others_nobody_knows(name):
    assert not identity.has_ended(name)


def test_a_process_of_another_boot_or_container_is_not_looked_for_here():
    boot, _, namespace = named(2**22 + 1).rpartition("/")
    assert identity.has_ended(f"{boot}/{namespace}")
    assert not identity.has_ended(f"{boot}/{int(namespace) + 1}")
