from __future__ import annotations

import re

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
