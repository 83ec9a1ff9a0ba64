"""queue.schema.json and the parser agree, so that an editor's marks are what ``gae-broker`` will say.

What the schema accepts, the parser loads; what the parser loads without a warning, the schema accepts.
"""

from __future__ import annotations

import json
from importlib import resources

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gae_broker.domain.queue_yaml import parse
from gae_broker.domain.queue_yaml.entry import ACL_KEYS
from gae_broker.domain.queue_yaml.entry import KEYS as QUEUE_KEYS
from gae_broker.domain.queue_yaml.extensions import KEYS as EXTENSION_KEYS
from gae_broker.domain.queue_yaml.parser import KEYS as FILE_KEYS
from gae_broker.domain.queue_yaml.retry import KEYS as RETRY_KEYS
from gae_broker.errors import QueueYamlError

SCHEMA = json.loads(resources.files("gae_broker").joinpath("queue.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

# Values that some key takes, and values just beside them. Every key is given every value.
VALUES = [
    *(0, 1, 5, -1, 7.5, 7.0, 0.0, 1e300, True, False, None, 2_592_000, 2_592_001, 1e9),
    *(
        "0",
        "1",
        "-1",
        "007",
        "7.5",
        " 7 ",
        "1_000",
        "1e3",
        "many",
        "",
        "\u0663",
        "True",
        "true",
        "yes",
        "pull",
        "push",
        "pop",
    ),
    *("5/s", "0/s", "5./m", "5", ".5/s", "5/x", "5 /s", "500M", "1.5M", "1.5", "5m", "5KB", "2d", "0s", "0.5s", "1e3s"),
    *(" 5 s", "infs", "14s", "15s", "90s", "90.5s", "24h", "25h", "1d", "2d ", "1440m", "1441m", "86400s", "86401s"),
    *("a", "A", "a-b", "-a", "a_b", "a.b", "a.b.c", "s~a", "x.com:a", "a" * 63, "a" * 64, "a" * 100, "a" * 101, "a\n"),
    *([], {}, ["a"], [{}], [{"user_email": "a"}], [{"writer_email": 5}], [{"email": "a"}], {"dispatch_deadline": "2m"}),
]


def agree(document: object) -> None:
    """Assert that schema and parser take the same view of a document."""
    text = yaml.safe_dump(document)
    valid = VALIDATOR.is_valid(document)
    error, warnings = None, ()
    try:
        warnings = parse(text).warnings
    except QueueYamlError as exc:
        error = exc
    assert not (valid and error), f"the schema accepts what the parser refuses: {error}\n{text}"
    assert valid or error or warnings, f"the schema refuses what the parser loads in silence:\n{text}"


def in_queue(key: str, value: object) -> object:
    return {"queue": [{"name": "q", key: value}]}


@pytest.mark.parametrize("key", FILE_KEYS)
def test_every_value_of_every_key_at_the_top(key: str) -> None:
    for value in VALUES:
        agree({key: value})


@pytest.mark.parametrize("key", QUEUE_KEYS)
@pytest.mark.parametrize("mode", ["push", "pull"])
def test_every_value_of_every_key_of_a_queue(key: str, mode: str) -> None:
    for value in VALUES:
        agree({"queue": [{"name": "q", "mode": mode, key: value}]})


@pytest.mark.parametrize("key", RETRY_KEYS)
def test_every_value_of_every_retry_parameter(key: str) -> None:
    for value in VALUES:
        agree(in_queue("retry_parameters", {key: value}))


@pytest.mark.parametrize("key", EXTENSION_KEYS)
def test_every_value_of_every_extension(key: str) -> None:
    for value in VALUES:
        agree({"x-gae-broker": {key: value}})
        agree(in_queue("x-gae-broker", {key: value}))


@pytest.mark.parametrize("key", ACL_KEYS)
def test_every_value_of_every_acl_key(key: str) -> None:
    for value in VALUES:
        agree({"queue": [{"name": "q", "mode": "pull", "acl": [{key: value}]}]})


@pytest.mark.parametrize("value", VALUES)
def test_every_value_as_a_whole_document(value: object) -> None:
    if value in ([], {}) or not isinstance(value, str):  # texts may be YAML of another kind
        agree(value)


def test_the_schema_describes_exactly_the_parsers_keys() -> None:
    definitions = SCHEMA["$defs"]
    assert set(SCHEMA["properties"]) == set(FILE_KEYS)
    assert set(definitions["queue"]["properties"]) == set(QUEUE_KEYS)
    assert set(definitions["retry_parameters"]["properties"]) == set(RETRY_KEYS)
    assert set(definitions["extensions"]["properties"]) == set(EXTENSION_KEYS)
    assert set(definitions["queue"]["properties"]["acl"]["items"]["properties"]) == set(ACL_KEYS)


scalars = (
    st.sampled_from(VALUES)
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("a-.0159/smhdK ")
)
backoff = st.fixed_dictionaries({}, optional={"min_backoff_seconds": st.floats(0, 100), "max_doublings": scalars})
retry = st.fixed_dictionaries({}, optional={key: scalars for key in RETRY_KEYS if "backoff" not in key})
queues = st.fixed_dictionaries(
    {},
    optional={
        **{key: scalars for key in QUEUE_KEYS if key != "name"},
        "mode": st.sampled_from(["push", "pull"]) | scalars,
        "rate": st.from_regex(r"[0-9]{1,4}(\.[0-9]{0,3})?/[smhd]", fullmatch=True) | scalars,
        "retry_parameters": retry | backoff,
        "acl": st.lists(st.dictionaries(st.sampled_from(ACL_KEYS), scalars), max_size=2),
    },
)
files = st.fixed_dictionaries(
    {},
    optional={
        "queue": st.lists(queues, max_size=3).map(lambda found: [{"name": f"q{n}", **q} for n, q in enumerate(found)]),
        "total_storage_limit": st.from_regex(r"[0-9]{1,9}(\.[0-9]{0,3})?[BKMGT]?", fullmatch=True) | scalars,
        "resume_paused_queues": st.booleans() | scalars,
        "application": scalars,
    },
)


@given(files)
def test_generated_documents(document: object) -> None:
    agree(document)
