"""The rule for app.yaml: App Engine's own deferred handler goes, every other line stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import yaml

from gae_broker.codemod import names
from gae_broker.codemod.outcome import Outcome
from gae_broker.codemod.remark import Remark, kept_lines

_RELEVANT = re.compile(rb"\bdeferred\b")
_THEIRS = re.compile(r"(\$PYTHON_LIB/)?google[./]appengine[./]ext[./]deferred\b.*")
_KEYS = frozenset({"builtins", "handlers"})
_ADVICE = f"take it out by hand; then {names.MOUNT}"


def analyse(data: bytes) -> Outcome:
    """What becomes of a YAML file; nothing, unless it is an app.yaml that has to do with ``deferred``."""
    if not _RELEVANT.search(data):
        return Outcome(data)
    try:
        text = data.decode("utf-8")
        root = yaml.compose(text, yaml.SafeLoader)
    except (UnicodeDecodeError, yaml.YAMLError):
        return _unreadable(data)
    if not isinstance(root, yaml.MappingNode):
        return Outcome(data)
    lines = text.splitlines(keepends=True)
    removal = _Removal(kept_lines(lines))
    for key, value in root.value:
        if key.value in _KEYS and isinstance(value, yaml.SequenceNode):
            removal.look_at(key, value)
    kept = [line for number, line in enumerate(lines, 1) if number not in removal.lines]
    return Outcome("".join(kept).encode("utf-8"), tuple(sorted(removal.remarks)))


class _Removal:
    """The lines to take out."""

    def __init__(self, kept: frozenset[int]) -> None:
        self._kept = kept
        self.lines: set[int] = set()
        self.remarks: list[Remark] = []

    def look_at(self, key: yaml.Node, sequence: yaml.SequenceNode) -> None:
        """Take App Engine's own entries out of a list, and the list with its last entry."""
        found = [item for item in sequence.value if _is_theirs(key.value, item)]
        found = [item for item in found if _first(item) not in self._kept]
        for item in found:
            if sequence.flow_style:
                self.remarks.append(Remark(_first(item), f"{key.value} in brackets switches deferred on", _ADVICE))
            else:
                self.lines.update(range(_first(item), _last(item) + 1))
        if found and len(found) == len(sequence.value) and not sequence.flow_style:
            self.lines.add(_first(key))


def _is_theirs(key: str, item: yaml.Node) -> bool:
    """Whether an entry of a list is App Engine's deferred handler."""
    if not isinstance(item, yaml.MappingNode):
        return False
    entry = {name.value: value.value for name, value in item.value}
    if key == "builtins":
        return entry.get("deferred") in {"on", "true", "True", "yes"}
    url, script = str(entry.get("url", "")), str(entry.get("script", ""))
    return url.startswith(names.DEFERRED_PATH) and _THEIRS.fullmatch(script) is not None


def _first(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _last(node: yaml.Node) -> int:
    """The last line of a node; its own end mark lies behind the comments that follow it."""
    return max((int(leaf.end_mark.line) + (leaf.end_mark.column > 0) for leaf in _leaves(node)), default=_first(node))


def _leaves(node: yaml.Node) -> Iterator[yaml.Node]:
    inner: Iterable[yaml.Node] = ()
    if isinstance(node, yaml.MappingNode):
        inner = (part for pair in node.value for part in pair)
    elif isinstance(node, yaml.SequenceNode):
        inner = node.value
    else:
        yield node
    for part in inner:
        yield from _leaves(part)


def _unreadable(data: bytes) -> Outcome:
    """A template, or several documents: left as it is, which matters only if it switches deferred on."""
    found = re.search(rb"^\s*-\s*deferred\s*:\s*on\b|ext[./]deferred\b", data, re.MULTILINE)
    if found is None:
        return Outcome(data)
    line = data.count(b"\n", 0, found.start() + 1) + 1
    return Outcome(data, (Remark(line, "switches deferred on, in YAML that cannot be read", _ADVICE),), "latin-1")
