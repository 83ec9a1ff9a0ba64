"""Random scripts for both sides; they keep clear of listed differences, each of which has cases of its own.

Two things would make honest runs differ: tasks with equal etas (the stub orders them by names that it counts through),
and failures given to tasks by turn. So etas differ by milliseconds, and a run answers every task alike.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

PUSH_QUEUES = ("default", "push", "push-limited", "push-aged", "push-both")
PULL_QUEUES = ("pull", "pull-twice")
NAMES = ("a", "b", "c", "d", "e")
TAGS = (None, "", "t", "u")

_texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12)
_scalars = st.one_of(st.integers(-9, 99), _texts, st.binary(max_size=5), st.booleans(), st.none(), st.floats(-9, 9))
_params = st.dictionaries(_texts, st.one_of(_scalars, st.lists(_scalars, max_size=3)), max_size=3)
_header_names = st.sampled_from(
    ["X-A", "x-a", "Content-Type", "content-type", "Host", "HOST", "X-AppEngine-TaskName", "X-AppEngine-Foo", "Accept"],
)
_headers = st.dictionaries(_header_names, st.sampled_from(["", "1", "text/html", "h.example.com", "ü"]), max_size=3)
_urls = st.one_of(
    st.sampled_from(["", "/", "/a", "/a?", "/a?x=1", "a", "//h/a", "/a#f", "http://h/a", "?x", "/a//b", "/ü", "/a b"]),
    _texts.map(lambda text: f"/{text}"),
    st.sampled_from([2082, 2083, 2084]).map(lambda length: "/" + "x" * (length - 1)),
)
_names = st.one_of(
    st.sampled_from([None, "", "a", "a-b_9", "a b", "a.b", "ü", "x" * 500, "x" * 501]),
    st.text("abcXYZ09-_. /", max_size=6),
)
_payloads = st.one_of(
    st.sampled_from([None, "", b"", "x", b"x", "ü"]),
    _texts,
    st.binary(max_size=9),
)
_countdowns = st.one_of(
    st.sampled_from([0, -1, 5, "7", "x", 2592000, 2592001, 1.25, True]),
    st.floats(-1e6, 3e6).map(lambda seconds: round(seconds, 3)),
)
_counts = st.integers(0, 20)
_backoffs = st.one_of(st.integers(0, 5000), st.floats(0.001, 5000).map(lambda seconds: round(seconds, 3)))


@st.composite
def retry_options(draw: st.DrawFn, valid: bool = False) -> str:
    """A call of TaskRetryOptions; without ``valid`` its arguments may contradict each other, or be negative."""
    low = 0 if valid else -2
    given = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "min_backoff_seconds": _backoffs,
                "max_backoff_seconds": _backoffs,
                "max_doublings": st.integers(low, 20),
                "task_retry_limit": st.integers(low, 8),
                "task_age_limit": st.one_of(st.integers(low, 5000), st.floats(0, 500).map(lambda s: round(s, 2))),
            },
        ),
    )
    if valid:
        bounds = sorted(given[key] for key in ("min_backoff_seconds", "max_backoff_seconds") if key in given)
        given |= zip(
            (key for key in ("min_backoff_seconds", "max_backoff_seconds") if key in given), bounds, strict=True
        )
        if "min_backoff_seconds" in given:  # without a wait the stub would try again within the same moment, for ever
            given["min_backoff_seconds"] = max(given["min_backoff_seconds"], 0.001)
        if "max_backoff_seconds" in given:
            given["max_backoff_seconds"] = max(given["max_backoff_seconds"], 0.001)
    return f"TaskRetryOptions({_arguments(given)})"


@st.composite
def tasks(draw: st.DrawFn, targets: tuple[str | None, ...] = (None, "")) -> str:
    """A call of Task with any mixture of arguments, good and bad.

    The stub knows a task's target by its Host alone, which no target has in a test: a listed difference (target-host)
    for tasks that are run.
    """
    given = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "payload": _payloads,
                "url": _urls,
                "method": st.sampled_from(["POST", "GET", "PUT", "HEAD", "DELETE", "PULL", "get", "pull", "PATCH", ""]),
                "params": st.one_of(st.none(), _params),
                "headers": st.one_of(st.none(), _headers),
                "name": _names,
                "tag": st.sampled_from([None, "", "t", "ü", "t" * 500, "t" * 501]),
                "target": st.sampled_from(targets),
                "countdown": _countdowns,
                "dispatch_deadline_usec": st.sampled_from([None, 0, 14999999, 15000000, 86400000000, 86400000001]),
                "_size_check": st.booleans(),
            },
        ),
    )
    extra = ""
    if draw(st.integers(0, 9)) == 0:
        extra += f", eta=at({draw(st.integers(-100, 100))})"
    if draw(st.integers(0, 9)) == 0:
        extra += f", retry_options={draw(retry_options())}"
    return f"Task({_arguments(given)}{extra})".replace("Task(, ", "Task(")


@st.composite
def one_task(draw: st.DrawFn) -> str:
    """Make a task, look at it, add it, look at it again and at the request that it makes."""
    queue = draw(st.sampled_from(["default", "push", "pull", "nowhere"]))
    return "\n".join(
        (
            f"t = {draw(tasks())}",
            "t.extract_params()",
            "t.retry_options or repr(t)",
            f"t.add({queue!r})",
            "stored()",
            "stored('push')",
            "stored('pull')",
            "run()",
        ),
    )


@st.composite
def retries(draw: st.DrawFn) -> str:
    """A task that fails again and again, tried at the moment it is due."""
    queue = draw(st.sampled_from(PUSH_QUEUES))
    options = draw(st.one_of(st.just("None"), retry_options(valid=True)))
    lines = [f"add(url='/a', name='n', queue_name={queue!r}, retry_options={options}).name"]
    for status in draw(st.lists(st.sampled_from([500, 404, 302, 503, 199, 200]), min_size=1, max_size=12)):
        lines += [
            f"run({status})",
            f"stored({queue!r})",
            f"advance(max(0, *[row[1] * 1000 + 1000 - now_us() for row in stored({queue!r})], 0) / 1e6)",
        ]
    return "\n".join(lines)


class _Writer:
    """Writes a history of calls on queues, line by line."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self.lines: list[str] = []
        self._made = 0
        self._leases = 0

    def _queue(self, *others: str) -> str:
        return self._draw(st.sampled_from((*PUSH_QUEUES[:3], *PULL_QUEUES, *others)))

    def _task(self, pull: bool, named: bool) -> str:
        self._made += 1
        countdown = self._draw(st.sampled_from([-60, -1, 0, 3, 30])) + self._made / 1000
        name = self._draw(st.sampled_from(NAMES if named else (None, *NAMES)))
        if pull:
            tag = self._draw(st.sampled_from(TAGS))
            return f"Task('p{self._made}', method='PULL', name={name!r}, tag={tag!r}, countdown={countdown})"
        return f"Task(url='/{self._made}', name={name!r}, countdown={countdown})"

    def add(self) -> None:
        """One task or several, mostly of the queue's own kind."""
        queue = self._queue("nowhere")
        pull = (queue in PULL_QUEUES) != (self._draw(st.integers(0, 19)) == 0)
        tasks = [self._task(pull, named=pull) for _ in range(self._draw(st.integers(1, 4)))]
        self.lines.append(f"Queue({queue!r}).add({tasks[0] if len(tasks) == 1 else '[' + ', '.join(tasks) + ']'})")

    def delete(self) -> None:
        """By name, whether there is such a task or not."""
        names = self._draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3))
        self.lines.append(f"Queue({self._queue('nowhere')!r}).delete_tasks_by_name({names!r})")

    def purge(self) -> None:
        """Everything."""
        self.lines.append(f"Queue({self._queue()!r}).purge()")

    def lease(self) -> None:
        """By tag or without, and kept for a later change."""
        self._leases += 1
        queue, seconds = self._draw(st.sampled_from((*PULL_QUEUES, "push"))), self._draw(st.sampled_from([0, 5, 60]))
        call = f"Queue({queue!r}).lease_tasks({seconds}, {self._draw(st.integers(1, 4))})"
        kind = self._draw(st.sampled_from(["any", "tag", "oldest"]))
        if kind == "tag":
            call = f"Queue({queue!r}).lease_tasks_by_tag({seconds}, {self._draw(st.integers(1, 4))}, tag='t')"
        if kind == "oldest":  # of an untagged group the stub gives fewer than it has, unless asked for all
            call = f"Queue({queue!r}).lease_tasks_by_tag({seconds}, 1000)"
        self.lines.append(f"leased{self._leases} = {call}")

    def change(self) -> None:
        """An earlier lease; it may be over, another's, or its task gone."""
        if not self._leases:
            return
        number, seconds = self._draw(st.integers(1, self._leases)), self._draw(st.sampled_from([0, 7, 100]))
        queue = self._draw(st.sampled_from(PULL_QUEUES))
        what = self._draw(st.sampled_from(["modify", "delete"]))
        call = (
            f"modify_task_lease(leased{number}[0], {seconds})" if what == "modify" else f"delete_tasks(leased{number})"
        )
        self.lines += [f"Queue({queue!r}).{call}", f"leased{number}"]

    def run(self) -> None:
        """What is due, with one answer for all."""
        status = self._draw(st.sampled_from([200, 500]))
        self.lines.append(f"sorted(run(*[{status}] * 50), key=lambda request: request['url'])")

    def advance(self) -> None:
        """Time."""
        self.lines.append(f"advance({self._draw(st.sampled_from([1, 10, 61, 600]))})")

    def look(self) -> None:
        """At what a queue holds."""
        queue = self._queue()
        self.lines += [
            f"sorted(stored({queue!r}), key=lambda row: (row[2], row[3]))",
            f"Queue({queue!r}).fetch_statistics()",
        ]


@st.composite
def histories(draw: st.DrawFn) -> str:
    """A history of calls on several queues."""
    writer = _Writer(draw)
    steps = [
        writer.add,
        writer.add,
        writer.delete,
        writer.lease,
        writer.lease,
        writer.change,
        writer.run,
        writer.advance,
    ]
    for step in draw(st.lists(st.sampled_from([*steps, writer.look, writer.purge]), min_size=3, max_size=30)):
        step()
    for queue in (*PUSH_QUEUES, *PULL_QUEUES):
        writer.lines.append(f"sorted(stored({queue!r}), key=lambda row: (row[2], row[3]))")
    return "\n".join(writer.lines)


_data = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("abc", max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@st.composite
def deferrals(draw: st.DrawFn) -> str:
    """A deferred call of random data: the pickle, its run, and the request that the task makes."""
    args, kwargs = (
        draw(st.lists(_data, max_size=3)),
        draw(st.dictionaries(st.text("xyz", min_size=1, max_size=3), _data)),
    )
    call = ", ".join(["functions.note", *map(repr, args), *(f"{key}={value!r}" for key, value in kwargs.items())])
    return f"deferred.serialize({call})\ndeferred.run(deferred.serialize({call}))\ndeferred.defer({call})\nrun()"


_rates = st.one_of(
    st.sampled_from(["0", "5/s", "1/m", "2.5/h", "5", "x", "-1/s", "5/", "5/x"]),
    st.tuples(st.decimals(0, 500, places=2), st.sampled_from("smhd")).map(lambda pair: f"{pair[0]}/{pair[1]}"),
)
_ages = st.tuples(st.integers(0, 99), st.sampled_from(["s", "m", "h", "d", "", "w"])).map(
    lambda pair: f"{pair[0]}{pair[1]}"
)
_entry = st.fixed_dictionaries(
    {"name": st.one_of(st.sampled_from(["a", "b", "c-d", "under_score"]), st.text("ab-9", min_size=1, max_size=5))},
    optional={
        "rate": _rates,
        "mode": st.sampled_from(["push", "pull", "other"]),
        "bucket_size": st.one_of(st.integers(0, 100), st.just("x")),
        "max_concurrent_requests": st.integers(1, 5000),
        "target": st.sampled_from(["v1", "v1.module", "V1", "a.b.c", "-a"]),
        "retry_parameters": st.fixed_dictionaries(
            {},
            optional={
                "task_retry_limit": st.integers(-1, 20),
                "task_age_limit": _ages,
                "min_backoff_seconds": st.one_of(st.integers(-1, 5000), st.floats(0, 9).map(lambda s: round(s, 2))),
                "max_backoff_seconds": st.integers(0, 5000),
                "max_doublings": st.integers(-1, 20),
            },
        ),
    },
)


@st.composite
def queue_files(draw: st.DrawFn) -> str:
    """The reading of a queue.yaml, mostly well-formed."""
    file: dict[str, Any] = {"queue": draw(st.lists(_entry, max_size=4, unique_by=lambda entry: entry["name"]))}
    if draw(st.booleans()):
        file["total_storage_limit"] = draw(st.sampled_from(["120M", "1.5G", "7", "1.5", "x"]))
    lines = [f"{key}: {value}" for key, value in file.items() if key != "queue"] + ["queue:"]
    for entry in file["queue"]:
        retry = entry.pop("retry_parameters", None)
        fields = [f"{key}: {value}" for key, value in entry.items()]
        if retry is not None:
            fields += ["retry_parameters:", *(f"  {key}: {value}" for key, value in retry.items())]
        lines += [("- " if index == 0 else "  ") + field for index, field in enumerate(fields)]
    return "read_queue_yaml({!r})".format("\n".join(lines) + "\n")


def _arguments(given: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in given.items())
