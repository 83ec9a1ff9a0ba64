"""What all commands share: help, exit codes, errors, messages, completion."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from gae_broker import errors
from gae_broker.cli import root
from gae_broker.cli.command import Command
from gae_broker.cli.exit_codes import ExitCode, exit_code
from gae_broker.cli.group import LazyGroup
from gae_broker.settings import OPTIONS, variable

HEAVY = ("aiohttp", "sqlalchemy", "pika", "yaml", "asyncio", "sqlite3", "gae_broker.engine", "gae_broker_adapters")


def commands(
    command: click.Command = root, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, LazyGroup):
        with click.Context(command) as ctx:
            for name in command.list_commands(ctx):
                found = command.get_command(ctx, name)
                assert found is not None
                yield from commands(found, (*path, name))


ALL = dict(commands())
LEAVES = {path: command for path, command in ALL.items() if isinstance(command, Command)}


@pytest.mark.parametrize("path", ALL)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_has_help(cli, path: tuple[str, ...], flag: str) -> None:
    found = cli(*path, flag)
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith(f"Usage: {' '.join(('gae-broker', *path))} [OPTIONS]")


def test_common_options_are_explained_once(cli) -> None:
    assert "--log-format [text|json]  How messages are written" in cli("-h").out
    for path in (("queues",), ("queues", "list"), ("check",)):
        found = cli(*path, "-h").out
        assert "How messages are written" not in found
        assert "--log-format, -v/--verbose" in found.replace("\n", " ")


@pytest.mark.parametrize("path", [path for path, command in ALL.items() if isinstance(command, LazyGroup)])
def test_a_group_without_a_command_shows_its_help(cli, path: tuple[str, ...]) -> None:
    assert cli(*path) == cli(*path, "-h")


@pytest.mark.parametrize("path", LEAVES)
def test_every_command_has_two_examples_that_parse(path: tuple[str, ...]) -> None:
    command = LEAVES[path]
    assert len(command.examples) == 2
    for line, meaning in command.examples:
        assert meaning
        assert " ".join(("gae-broker", *path)).replace("gae-broker ", "", 1) in line


@pytest.mark.parametrize("path", LEAVES)
def test_every_option_shows_its_own_environment_variable(path: tuple[str, ...]) -> None:
    command = LEAVES[path]
    with click.Context(root, info_name="gae-broker", auto_envvar_prefix="GAE_BROKER", show_default=True) as ctx:
        for name in path:
            ctx = click.Context(command, parent=ctx, info_name=name)  # noqa: PLW2901 - a chain of contexts
        variables = [
            extra
            for option in command.params
            if isinstance(option, click.Option)
            for extra in option.get_help_extra(ctx)["envvars"]
        ]
    assert all(name.startswith("GAE_BROKER_") for name in variables)
    assert len(set(variables)) == len(variables)
    own = set(variables) - {variable(name) for name in OPTIONS}
    # Kubernetes sets GAE_BROKER_PORT and GAE_BROKER_SERVICE_* in every pod beside a service of that name.
    assert not [name for name in own if name == "GAE_BROKER_PORT" or name.startswith("GAE_BROKER_SERVICE_")]


@pytest.mark.parametrize("path", [path for path in ALL if path])
def test_the_short_help_in_the_table_is_the_commands(path: tuple[str, ...]) -> None:
    parent = ALL[path[:-1]]
    assert isinstance(parent, LazyGroup)
    assert parent.lazy[path[-1]][1] == ALL[path].short_help


@pytest.mark.parametrize("words", [[], ["dev"], ["dispatch"]], ids=" ".join)
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys; before = set(sys.modules); from gae_broker.cli import root;"
        f"root({[*words, '--help']}, standalone_mode=False, prog_name='gae-broker');"
        "print(*set(sys.modules) - before, file=sys.stderr)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = found.stderr.split()
    assert "click" in loaded
    assert [name for name in loaded if name.startswith(HEAVY)] == []
    assert len(loaded) < 150


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.SettingsError(), ExitCode.CONFIGURATION),
        (errors.QueueYamlError(), ExitCode.CONFIGURATION),
        (errors.ConfirmTimeoutError(), ExitCode.UNAVAILABLE),
        (errors.LedgerUnavailableError(), ExitCode.UNAVAILABLE),
        (errors.StorageError(), ExitCode.UNAVAILABLE),
        (errors.DeadlineExceededError(), ExitCode.UNAVAILABLE),
        (OSError(), ExitCode.UNAVAILABLE),
        (errors.UnknownQueueError(), ExitCode.FAILED),
        (errors.TombstonedTaskError(), ExitCode.FAILED),
        (ZeroDivisionError(), ExitCode.FAILED),
    ],
)
def test_exit_codes(error: Exception, code: ExitCode) -> None:
    assert exit_code(error) is code


def test_the_codes_are_the_documented_ones() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        "OK": 0,
        "FAILED": 1,
        "USAGE": 2,
        "UNAVAILABLE": 3,
        "CONFIGURATION": 4,
    }


@pytest.mark.parametrize(
    ("words", "env", "code", "error"),
    [
        (["queus"], {}, 2, "No such command 'queus'. Did you mean 'queues'?"),
        (["queues", "lst"], {}, 2, "No such command 'lst'. Did you mean 'list'?"),
        (["xyz"], {}, 2, "There are: dev, dispatch"),
        (["queues", "list", "--colour"], {}, 2, "No such option"),
        (["queues", "list"], {"GAE_BROKER_URL": "embeded://"}, 4, "did you mean 'embedded://'?"),
        (
            ["queues", "list"],
            {"GAE_BROKER_PROCESSES": "many"},
            4,
            "processes (from GAE_BROKER_PROCESSES): found 'many'",
        ),
        (["queues", "list", "--config", "no.toml"], {}, 4, "no.toml: cannot be read"),
        (["queues", "list"], {"GAE_BROKER_URL": "embedded:////no/such/directory/q.db"}, 4, "/no/such/directory"),
        (
            ["queues", "list"],
            {"GAE_BROKER_QUEUE_YAML": "bad.yaml"},
            4,
            "bad.yaml:2: unknown key 'rat', did you mean 'rate'?",
        ),
    ],
)
def test_errors_end_with_their_codes(
    cli, home: Path, words: list[str], env: dict[str, str], code: int, error: str
) -> None:
    (home / "bad.yaml").write_text("queue:\n- rat: 1/s\n")
    found = cli(*words, env=env)
    assert (found.code, error in found.err, found.out) == (code, True, "")
    assert "Traceback" not in found.err


def test_a_damaged_store(cli, home: Path) -> None:
    (home / "gae-broker.db").write_bytes(b"this is no database" * 1000)
    found = cli("queues", "list")
    assert (found.code, "gae-broker.db" in found.err, "Traceback" in found.err) == (3, True, False)


def test_a_store_of_another_version_is_left_alone(cli, home: Path) -> None:
    with sqlite3.connect(home / "gae-broker.db") as connection:
        connection.execute("PRAGMA application_id = 77")
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    assert cli("queues", "list").code in {0, 3}
    with sqlite3.connect(home / "gae-broker.db") as connection:
        assert connection.execute("SELECT count(*) FROM mine").fetchone() == (0,)
    connection.close()


def test_a_traceback_is_shown_only_with_v(cli) -> None:
    assert "Traceback" not in cli("queues", "pause", "nope").err
    found = cli("queues", "pause", "nope", "-v")
    assert "Traceback" in found.err
    assert found.err.endswith("Error: queue 'nope' is not in queue.yaml; it has: default, inbox, mail, stopped\n")


@pytest.mark.parametrize(
    "words", [["-q", "queues", "pause", "mail"], ["queues", "-q", "pause", "mail"], ["queues", "pause", "mail", "-q"]]
)
def test_common_options_may_stand_anywhere(cli, words: list[str]) -> None:
    assert cli(*words).err == ""


def test_the_last_of_two_formats_counts(cli) -> None:
    assert cli("--format", "json", "adapters").data["adapters"]
    assert cli("--format", "json", "adapters", "--format", "table").out.startswith("ROLE")
    assert cli("adapters", env={"GAE_BROKER_FORMAT": "json"}).data["adapters"]


def test_messages_as_json(cli) -> None:
    found = cli("queues", "pause", "nope", "--log-format", "json")
    line = json.loads(found.err)
    assert (line["level"], line["message"][:12]) == ("error", "queue 'nope'")
    assert (
        json.loads(cli("queues", "pause", "mail", "--log-format", "json").err)["message"] == "Queue 'mail' is paused."
    )


def test_passwords_never_reach_the_terminal(cli) -> None:
    env = {"GAE_BROKER_URL": "amqp://u:hunter2@nowhere.invalid/", "GAE_BROKER_LEDGER": "postgresql://u:hunter2@h/d"}
    for words in (["config", "show"], ["config", "show", "--format", "json"], ["queues", "list", "-v"], ["check"]):
        found = cli(*words, env=env)
        assert "hunter2" not in found.out + found.err


def test_version_is_fit_for_a_bug_report(cli) -> None:
    lines = cli("--version").out.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["gae-broker", "Python", "aiohttp"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(cli, shell: str) -> None:
    found = cli("completion", shell)
    assert (found.code, "_GAE_BROKER_COMPLETE" in found.out) == (0, True)


def test_queue_names_are_completed(home: Path) -> None:
    command = LEAVES["queues", "pause"]
    (argument,) = [item for item in command.params if item.name == "queue"]
    with click.Context(command) as ctx:
        assert [item.value for item in argument.shell_complete(ctx, "ma")] == ["mail"]
        (home / "queue.yaml").write_text("queue: {}")
        assert argument.shell_complete(ctx, "ma") == []
