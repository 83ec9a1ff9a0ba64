"""One YAML document as nodes that know their lines, and the errors and warnings that name them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection
from typing import TypeVar

import yaml

from gae_broker.domain.queue_yaml.values import unexpected
from gae_broker.errors import QueueYamlError

NULL = "tag:yaml.org,2002:null"
_T = TypeVar("_T")


class Document:
    """A queue.yaml's nodes, and what was noticed while they were read.

    Attributes:
        source: the file's name, as errors print it.
        warnings: one line each, ``file:line: key: text``.
    """

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        self.warnings: list[str] = []
        self._loader: yaml.SafeLoader | None = None
        self._text = text

    def root(self) -> yaml.Node:
        """The one document's root node.

        Raises:
            QueueYamlError: the text is not YAML, is empty, or holds several documents.
        """
        try:
            self._loader = yaml.SafeLoader(self._text)
            nodes: list[yaml.Node] = []
            while self._loader.check_node():
                node = self._loader.get_node()
                if node is not None:
                    nodes.append(node)
        except yaml.MarkedYAMLError as exc:
            mark = exc.problem_mark or exc.context_mark
            where = f"{self.source}:{mark.line + 1}" if mark else self.source
            raise QueueYamlError(f"{where}: not valid YAML: {exc.problem or exc.context}") from exc
        except yaml.reader.ReaderError as exc:
            line = self._text.count("\n", 0, exc.position) + 1
            raise QueueYamlError(f"{self.source}:{line}: not valid YAML: {exc.reason}") from exc
        except RecursionError:
            raise QueueYamlError(f"{self.source}: nested too deeply, expected queue.yaml's few levels") from None
        if not nodes:
            raise QueueYamlError(f"{self.source}:1: the queue configuration is empty, expected a 'queue:' list")
        if len(nodes) > 1:
            raise self.error(nodes[1], "", "a second YAML document, expected one (remove the '---' between them)")
        return nodes[0]

    def line(self, node: yaml.Node) -> int:
        """The node's line, from 1."""
        return int(node.start_mark.line) + 1

    def error(self, node: yaml.Node, key: str, text: str) -> QueueYamlError:
        """An error at a node."""
        return QueueYamlError(self._place(node, key) + text)

    def warn(self, node: yaml.Node, key: str, text: str) -> None:
        """Note something that was loaded, but that its author should know."""
        self.warnings.append(self._place(node, key) + text)

    def _place(self, node: yaml.Node, key: str) -> str:
        return f"{self.source}:{self.line(node)}: " + (f"{key}: " if key else "")

    def attempt(self, node: yaml.Node, key: str, function: Callable[[str], _T], text: str) -> _T:
        """Call one of the value parsers; its errors gain the node's place."""
        try:
            return function(text)
        except QueueYamlError as exc:
            raise self.error(node, key, str(exc)) from None

    def entries(
        self, node: yaml.Node, key: str, known: Collection[str], lines: dict[str, yaml.Node] | None = None
    ) -> dict[str, yaml.Node]:
        """A mapping's values by key; keys without a value are left out with a warning.

        Args:
            node: the mapping.
            key: its own key, as errors print it; empty at the top.
            known: the keys it may have.
            lines: takes the nodes of the keys, where the caller wants them.

        Raises:
            QueueYamlError: not a mapping, an unknown key, or a key that stands there twice.
        """
        if not isinstance(node, yaml.MappingNode):
            raise self.error(node, key, f"found {describe(node)}, expected a mapping of {', '.join(known)}")
        seen: dict[str, yaml.Node] = {}
        values: dict[str, yaml.Node] = {}
        prefix = f"{key}." if key else ""
        for key_node, value in node.value:
            name = key_node.value if isinstance(key_node, yaml.ScalarNode) else ""
            if name not in known:
                raise self.error(key_node, key, self._unknown(key_node, known))
            if name in seen:
                first = self.line(seen[name])
                raise self.error(key_node, prefix + name, f"a second '{name}', the first is on line {first}")
            seen[name] = key_node
            if value.tag == NULL:
                self.warn(key_node, prefix + name, "has no value; the default applies")
            else:
                values[name] = value
        if lines is not None:
            lines.update(seen)
        return values

    def _unknown(self, node: yaml.Node, known: Collection[str]) -> str:
        found = node.value if isinstance(node, yaml.ScalarNode) else describe(node)
        close = difflib.get_close_matches(str(found), known, n=1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        return f"unknown key '{found}', {hint}expected one of {', '.join(known)}"

    def items(self, node: yaml.Node, key: str) -> list[yaml.Node]:
        """A list's nodes.

        Raises:
            QueueYamlError: not a list.
        """
        if not isinstance(node, yaml.SequenceNode):
            raise self.error(node, key, f"found {describe(node)}, expected a list (entries that begin with '- ')")
        return list(node.value)

    def scalar(self, node: yaml.Node, key: str, expected: str) -> object:
        """What YAML 1.1 makes of a plain value: text, a number, a boolean or a date.

        Raises:
            QueueYamlError: a list or a mapping, or a value that YAML itself cannot read.
        """
        if not isinstance(node, yaml.ScalarNode) or self._loader is None:
            raise self.error(node, key, f"found {describe(node)}, expected {expected}")
        try:
            value: object = self._loader.construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError, AttributeError):
            raise self.error(node, key, str(unexpected(node.value, expected))) from None
        return value

    def text(self, node: yaml.Node, key: str, expected: str, *, plain: bool = True) -> str:
        """A text value, as App Engine reads it: what is not text to YAML becomes text again, not always the same.

        Args:
            node: the value.
            key: its key, as errors print it.
            expected: what errors say was expected.
            plain: warn of values that YAML does not take for text; else numbers may stand there too.
        """
        value = self.scalar(node, key, expected)
        if isinstance(value, str):
            if value.endswith("\n"):
                # A regular expression's `$` lets one newline slip through, so `rate: |` loads on App Engine.
                self.warn(node, key, "ends in a newline, which is dropped")
            return value.removesuffix("\n")
        if plain:
            self.warn(node, key, f"{node.value} is not text to YAML and is read as '{value}'; put it in quotes")
        elif isinstance(value, float) and value.is_integer():
            return str(int(value))  # 0.0 is what JSON Schema takes for an integer
        return str(value)


def describe(node: yaml.Node) -> str:
    """A node in the words of an error."""
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    return "nothing" if node.tag == NULL else repr(node.value)
