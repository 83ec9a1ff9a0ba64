"""The quickstart, done as it says; and of both guides for newcomers what can be checked: files, commands, links."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from gae_broker.cli import root as command_line
from gae_broker.codemod import program
from gae_broker.codemod.outcome import Surroundings
from gae_broker.domain import queue_yaml
from tests.acceptance.conftest import Commands
from tests.servers import VERSIONS
from tests.servers.ports import free_port

DOCS = Path(__file__).resolve().parents[2] / "docs"
GUIDES = [DOCS / "quickstart.md", DOCS / "how-to" / "leave-app-engine.md"]
FILE = re.compile(r"^```\w+\n# (\S+\.(?:py|yaml))\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DIFF = re.compile(r"^```diff\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]*)(?:#([^)]*))?\)")
CURL = """
import sys, urllib.error, urllib.request
flag, data, url = sys.argv[1:]
assert flag == "-d"
try:
    answer = urllib.request.urlopen(url, data.encode())
except urllib.error.HTTPError as exc:
    print(exc.code, end=" ")
    answer = exc
print(answer.read().decode(), end="")
"""
ADD_AN_ORDER = "import shop; print(shop.app.test_client().post('/orders', data={'number': '7'}).status_code)"


def blocks(page: str, heading: str) -> list[str]:
    """The commands of a section."""
    section = page.split(f"\n## {heading}\n")[1].split("\n## ", maxsplit=1)[0]
    return BLOCK.findall(section)


@pytest.fixture
def page() -> str:
    return GUIDES[0].read_text("utf-8")


@pytest.fixture
def shop(page: str, gae_broker: Commands) -> Path:
    """The folder with the files of the quickstart."""
    for name, text in FILE.findall(page):
        (gae_broker.folder / name).write_text(text)
    return gae_broker.folder


def run(command: str, commands: Commands) -> str:
    """What a block of commands prints, by a shell in which `gae-broker` is ours."""
    python = shlex.quote(sys.executable)
    says = f'gae-broker() {{ {python} -m gae_broker "$@"; }}\ncurl() {{ {python} -c {shlex.quote(CURL)} "$@"; }}\n'
    done = subprocess.run(
        ["bash", "-ec", says + command],
        cwd=commands.folder,
        env=commands.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_quickstart_on_the_embedded_broker(page, shop, gae_broker):
    port = str(free_port())
    serve, orders, steer = blocks(page, "Run it")
    server = gae_broker.start(*shlex.split(serve)[1:], "--port", port)
    server.line("serving here now")
    assert run(orders.replace("8080", port), gae_broker).startswith("order 7 is taken\norder 8 is taken\n403 ")
    server.line("payments", "try 1: 503", "the bank is busy")
    server.line("payments", "try 2: 200")
    server.line("receipt for order")
    steered = run(steer.replace("8080", port), gae_broker)
    assert steered.startswith("QUEUE ")
    assert "/tasks/charge" in steered
    server.line("payments", "try 1: 200")


@pytest.mark.parametrize("rabbitmq", [VERSIONS[-1]], indirect=True)
def test_the_quickstart_on_rabbitmq(page, shop, gae_broker, rabbitmq_url):
    gae_broker.environment |= {"GAE_BROKER_URL": rabbitmq_url, "GAE_BROKER_LEDGER": f"sqlite:///{shop}/ledger.db"}
    make, _, serve, _ = blocks(page, "On RabbitMQ")
    commands = [line for line in make.splitlines() if line.startswith("gae-broker")]
    assert [line.split()[1] for line in commands] == ["deploy", "check"]
    run("\n".join(commands), gae_broker)
    server = gae_broker.start(*shlex.split(serve)[1:])
    server.line("serving here now")
    assert run(f"{shlex.quote(sys.executable)} -c {shlex.quote(ADD_AN_ORDER)}", gae_broker) == "202\n"
    server.line("payments", "try 1: 503")
    server.line("payments", "try 2: 200")
    server.line("receipt for order 7")


def test_the_files_of_the_quickstart_are_what_they_should_be(page):
    files = dict(FILE.findall(page))
    assert set(files) == {"shop.py", "queue.yaml", "compose.yaml"}
    assert queue_yaml.parse(files["queue.yaml"]).warnings == ()


def test_the_example_of_the_codemod_is_what_it_does():
    text = GUIDES[1].read_text("utf-8")
    [diff] = DIFF.findall(text)
    before, after = ("".join(line[1:] for line in diff.splitlines(keepends=True) if line[0] in " " + of) for of in "-+")
    outcome = program.analyse(before.encode(), Surroundings())
    assert (outcome.data.decode(), outcome.remarks) == (after, ())


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_its_commands_exist_with_these_options(guide, shop, monkeypatch):
    monkeypatch.chdir(shop)
    lines = [line for block in BLOCK.findall(guide.read_text("utf-8")) for line in block.splitlines()]
    commands = [line[line.index("gae-broker ") :] for line in lines if re.search(r"(^|\*  )gae-broker ", line)]
    assert len(commands) > 5
    for line in commands:
        words = shlex.split(line, comments=True)[1:]
        command: click.Command = command_line
        ctx = click.Context(command)
        while isinstance(command, click.Group):
            command = command.get_command(ctx, words.pop(0))
            assert command is not None, line
        command.make_context("gae-broker", words)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_its_links_lead_somewhere(guide):
    for target, anchor in LINK.findall(guide.read_text("utf-8")):
        file = (guide.parent / target).resolve() if target else guide
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text("utf-8"), re.MULTILINE)
            assert anchor in {
                re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
            }


def test_readme_and_index_lead_to_both():
    for page in (DOCS / "index.md", DOCS.parent / "README.md"):
        text = page.read_text("utf-8")
        assert all(os.path.relpath(guide, page.parent) in text for guide in GUIDES), page
