"""Section 7 of gae-semantics: queue.yaml."""

import json

from tests.parity.case import Case

_GOOD = {
    "one queue": "queue:\n- name: a\n  rate: 5/s\n",
    "no queues": "queue:\n",
    "an empty list of queues": "queue: []\n",
    "only an application": "application: x\n",
    "everything": """
application: my-app
total_storage_limit: 120M
resume_paused_queues: true
queue:
- name: push-queue
  rate: 10/m
  bucket_size: 20
  max_concurrent_requests: 7
  target: v2.module
  retry_parameters:
    task_retry_limit: 7
    task_age_limit: 2d
    min_backoff_seconds: 10
    max_backoff_seconds: 200
    max_doublings: 0
- name: pull-queue
  mode: pull
  retry_parameters:
    task_retry_limit: 7
  acl:
  - user_email: a@example.com
  - writer_email: b@example.com
  - user_email: c@example.com
    writer_email: d@example.com
""",
    "comments and quotes": "# c\nqueue:\n- name: 'a' # c\n  rate: \"1/s\"\n",
    "flow style": "queue: [{name: a, rate: 1/s}, {name: b, mode: pull}]\n",
    "a name of digits and hyphens": "queue:\n- name: 1-2\n  rate: 1/s\n",
    "a queue named default": "queue:\n- name: default\n  rate: 1/s\n",
}
_VALUES = {
    "rate": [
        "0",
        "1/s",
        "5/m",
        "2.5/h",
        "0.1/d",
        "0/s",
        "500/s",
        "5",
        "-1/s",
        "5 /s",
        "5/sx",
        "5/",
        "/s",
        "x",
        "5/S",
        "5/w",
        "''",
        "1.5",
        ".5/s",
        "5./s",
        "1e2/s",
    ],
    "bucket_size": ["1", "5", "100", "'7'", "5.5", "x", "''", "null", "[1]", "1e2", "0x10"],
    "max_concurrent_requests": ["1", "1000", "5.5", "x", "true"],
    "mode": ["push", "pull", "PULL", "pop", "''", "1"],
    "target": [
        "v1",
        "v1.module",
        "module",
        "a.b.c",
        "V1",
        "-v",
        "v_1",
        "v1.",
        ".m",
        "1",
        "''",
        "v" + "x" * 62,
        "v" + "x" * 120,
    ],
    "name": ["a", "A-b-9", "under_score", "with space", "a.b", "ü", "5", "null", "true"],
    "acl": ["[]", "[{user_email: a@b.c}]", "[{writer_email: a@b.c}]", "[{foo: a}]", "x", "[x]", "{user_email: a}"],
    "foo": ["1"],
    "retry_parameters": ["{}", "null", "x", "[1]", "{foo: 1}", "{task_retry_limit: 0, task_age_limit: 1s}"],
}
_RETRIES = {
    "task_retry_limit": ["0", "5", "-1", "1.5", "x", "'3'"],
    "task_age_limit": ["5s", "5m", "5h", "5d", "1.5h", "1.5s", "0s", "5", "-5s", "5w", "5 s", "x", "5sm", "''", "0.1s"],
    "min_backoff_seconds": ["0", "0.5", "10", "-1", "x", "5000", "'1'"],
    "max_backoff_seconds": ["0", "0.05", "10", "-1", "x", "1e3"],
    "max_doublings": ["0", "5", "-1", "1.5", "x"],
}
_TOP = {
    "total_storage_limit": [
        "1",
        "120M",
        "1.5G",
        "5K",
        "7B",
        "2T",
        "1.5",
        "5m",
        "-1",
        "x",
        "1.M",
        "0",
        "''",
        "5 M",
        "1P",
    ],
    "resume_paused_queues": ["true", "false", "True", "'True'", "yes", "no", "1", "x", "''"],
    "application": ["a", "5", "''"],
    "foo": ["1"],
    "queues": ["[]"],
}
_BAD = {
    "no text": "",
    "blank": "  \n\n",
    "only a comment": "# nothing\n",
    "two documents": "queue:\n- name: a\n  rate: 1/s\n---\nqueue:\n- name: b\n  rate: 1/s\n",
    "not YAML": "queue: [\n",
    "a tab": "queue:\n\t- name: a\n",
    "text": "hello\n",
    "a list": "- name: a\n",
    "a number": "5\n",
    "no name": "queue:\n- rate: 1/s\n",
    "queue is no list": "queue:\n  name: a\n  rate: 1/s\n",
    "queue is text": "queue: a\n",
    "an entry is text": "queue:\n- a\n",
    "a key twice": "queue:\n- name: a\n  name: b\n  rate: 1/s\n",
    "a section twice": "queue:\n- name: a\n  rate: 1/s\nqueue:\n- name: b\n  rate: 1/s\n",
    "a key twice in retry_parameters": "queue:\n- name: a\n  rate: 1/s\n  retry_parameters:\n    max_doublings: 1\n    max_doublings: 2\n",
    "min above max": "queue:\n- name: a\n  rate: 1/s\n  retry_parameters: {min_backoff_seconds: 10, max_backoff_seconds: 5}\n",
}


def _read(text: str) -> str:
    return f"read_queue_yaml({text!r})"


def _cases(title: str, files: dict[str, str], marks: dict[str, str]) -> list[Case]:
    return [
        Case(f"queue.yaml, {title}: {what}", _read(text) + (f"    #! {marks[what]}" if what in marks else ""))
        for what, text in files.items()
    ]


def _table(where: str, table: dict[str, list[str]], frame: str, marks: dict[str, str]) -> list[Case]:
    """One case a key, with a line a value."""
    cases = []
    for key, values in table.items():
        lines = [
            _read(frame.replace("KEY", key).replace("VALUE", value))
            + (f"    #! {marks[f'{key}: {value}']}" if f"{key}: {value}" in marks else "")
            for value in values
        ]
        cases.append(Case(f"queue.yaml, {where} {key} of {json.dumps(values)[:60]}", "\n".join(lines)))
    return cases


_ENTRY = "queue:\n- name: a\n  KEY: VALUE\n"
MARKS = {
    "task_age_limit: 0.1s": "queue-yaml-reading",
    "text": "queue-yaml-reading",
    "a number": "queue-yaml-reading",
}

CASES: list[Case] = [
    *_cases("good", _GOOD, MARKS),
    *_table("queue key", {key: values for key, values in _VALUES.items() if key != "name"}, _ENTRY, MARKS),
    *_table("queue key", {"name": _VALUES["name"]}, "queue:\n- KEY: VALUE\n  rate: 1/s\n", MARKS),
    *_table(
        "retry parameter", _RETRIES, "queue:\n- name: a\n  rate: 1/s\n  retry_parameters:\n    KEY: VALUE\n", MARKS
    ),
    *_table("top key", _TOP, "KEY: VALUE\nqueue:\n- name: a\n  rate: 1/s\n", MARKS),
    *_cases("bad", _BAD, MARKS),
    Case("queue.yaml: what is raised", "read_queue_yaml_or_raise('x')    #! queue-yaml-errors"),
]
