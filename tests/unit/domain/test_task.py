"""The values that describe a task."""

from __future__ import annotations

from dataclasses import asdict, fields

from gae_broker.domain.retry import RetryParameters
from gae_broker.domain.task import Content

FULL = Content(
    name="chosen",
    method="PUT",
    url="/work",
    headers=(("X-One", "1"),),
    payload=b"body",
    created_us=1,
    tag="tag",
    retry=RetryParameters(),
    deadline_us=2,
    target="version",
    named=True,
)


def test_enqueued_changes_the_time_of_creation_and_nothing_else() -> None:
    defaults = {field.name: field.default for field in fields(Content)}
    assert all(value != defaults[name] for name, value in asdict(FULL).items() if name != "retry")

    assert asdict(FULL.enqueued("made", 7)) == {**asdict(FULL), "created_us": 7}


def test_a_task_without_a_name_takes_the_one_made_for_it_and_does_not_count_as_named() -> None:
    content = Content("", url="/work").enqueued("made", 7)

    assert (content.name, content.named) == ("made", False)


def test_the_empty_tag_is_no_tag() -> None:
    assert Content("", "PULL", tag="").enqueued("made", 7).tag is None
