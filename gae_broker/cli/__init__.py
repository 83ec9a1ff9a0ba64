"""The command line. Commands are imported when they are called, so that ``--help`` is quick."""

from __future__ import annotations

from gae_broker.cli.root import root

__all__ = ["main", "root"]


def main() -> None:
    """Run the command line; ends the process with an `ExitCode`."""
    root(prog_name="gae-broker")
