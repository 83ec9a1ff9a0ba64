from __future__ import annotations

import os
import re

import pytest

from gae_broker.engine.names import RandomNamer


def test_task_names_are_unique_digits():
    namer = RandomNamer()
    chosen = [namer.task_name() for _ in range(2000)]
    assert len(set(chosen)) == 2000
    assert {bool(re.fullmatch(r"\d{19,25}", name)) for name in chosen} == {True}


def test_copy_ids_are_unique():
    namer = RandomNamer()
    chosen = {namer.copy_id() for _ in range(2000)}
    assert len(chosen) == 2000
    assert {len(copy_id) for copy_id in chosen} == {32}


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # fork beside threads, as of Python 3.12
def test_a_forked_child_repeats_none_of_its_parents_names():
    namer = RandomNamer()
    namer.copy_id()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, "".join(namer.copy_id()[12:] for _ in range(20)).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as pipe:
        theirs = pipe.read()
    ours = {namer.copy_id()[12:] for _ in range(20)}
    assert len(theirs) == 400
    assert not ours & {theirs[start : start + 20] for start in range(0, 400, 20)}
