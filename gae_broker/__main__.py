"""``python -m gae_broker`` is ``gae-broker``."""

from __future__ import annotations

from gae_broker.cli import main

main()
