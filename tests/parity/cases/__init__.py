"""The hand-written parity cases, by section of gae-semantics."""

from tests.parity.cases import queues, surface, tasks

ALL = [*surface.CASES, *tasks.CASES, *queues.CASES]
