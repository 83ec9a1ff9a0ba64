"""The API as data: its methods, their parameters, and the schemas of what is sent and answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gae_broker.domain import limits

NAME, VERSION = "taskqueue", "v1beta2"
BASE_PATH = "/taskqueue/v1beta2/projects/"
TASK_KIND = "taskqueues#task"
QUEUE_KIND = "taskqueues#taskqueue"
LEASED_KIND = "taskqueue#tasks"
"""Singular, unlike the others: so it was."""
LISTED_KIND = "taskqueues#tasks"

INT32 = {"type": "integer", "format": "int32"}
INT64 = {"type": "string", "format": "int64"}
"""A number of 64 bits is a string in Google's JSON, as JavaScript would round it."""
BOOLEAN = {"type": "boolean"}
STRING = {"type": "string"}

_INT64_PATTERN = "^-?[0-9]{1,19}$"
_QUEUE = r"^[a-zA-Z0-9-]{1,100}$"
_TASK = rf"^[a-zA-Z0-9_-]{{1,{limits.MAX_TASK_NAME_LENGTH}}}$"
_PROJECT = r"^([a-z]~)?[a-zA-Z0-9.:_-]{1,100}$"
_BASE64 = "^[A-Za-z0-9_-]*={0,2}$"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter in the path or in the query.

    Attributes:
        schema: its type and format.
        minimum, maximum: of numbers.
        pattern: of texts.
        choices: what it may be; empty: anything of its type.
        default: what it is where it is left out.
    """

    name: str
    description: str
    schema: Mapping[str, str]
    required: bool = False
    in_path: bool = False
    minimum: int | None = None
    maximum: int | None = None
    pattern: str = ""
    choices: tuple[str, ...] = ()
    default: str = ""


@dataclass(frozen=True, slots=True)
class Method:
    """A method.

    Attributes:
        resource, name: as clients call it: ``tasks``, ``lease``.
        http: GET, POST, PATCH or DELETE.
        path: below `BASE_PATH`.
        writes: whether ``writer_email`` permits it, in place of ``user_email``.
        request, response: names of `SCHEMAS`; ``""``: no body.
    """

    resource: str
    name: str
    http: str
    path: str
    description: str
    parameters: tuple[Parameter, ...] = ()
    request: str = ""
    response: str = ""
    writes: bool = False

    @property
    def id(self) -> str:
        """The method's id: ``taskqueue.tasks.lease``."""
        return f"{NAME}.{self.resource}.{self.name}"


PROJECT = Parameter(
    "project",
    "The application's id, with or without App Engine's 's~' before it. Where queue.yaml names no application, any.",
    STRING,
    required=True,
    in_path=True,
    pattern=_PROJECT,
)
TASKQUEUE = Parameter("taskqueue", "The pull queue's name.", STRING, required=True, in_path=True, pattern=_QUEUE)
TASK = Parameter("task", "The task's id.", STRING, required=True, in_path=True, pattern=_TASK)
_NEW_LEASE = Parameter(
    "newLeaseSeconds",
    "The lease ends so many seconds from now; 0 gives the task back.",
    INT32,
    required=True,
    minimum=0,
    maximum=limits.MAX_LEASE_SECONDS,
)

COMMON = (
    Parameter("alt", "Format of the answer.", STRING, choices=("json",), default="json"),
    Parameter("fields", "What to answer only, like items(id,tag) or kind,id.", STRING),
    Parameter("key", "Ignored: access is by token.", STRING),
    Parameter("prettyPrint", "Whether the answer has line breaks and indentation.", BOOLEAN, default="true"),
    Parameter("quotaUser", "Ignored: there are no quotas.", STRING),
    Parameter("userIp", "Ignored: there are no quotas.", STRING),
)
"""Parameters of every method."""

_LEASE = (
    Parameter(
        "numTasks",
        "How many tasks at most.",
        INT32,
        required=True,
        minimum=1,
        maximum=limits.MAX_TASKS_PER_LEASE,
    ),
    Parameter("leaseSecs", "For how many seconds.", INT32, required=True, minimum=0, maximum=limits.MAX_LEASE_SECONDS),
    Parameter("groupByTag", "Whether all tasks shall have the same tag.", BOOLEAN),
    Parameter(
        "tag",
        "Which, together with groupByTag; without it, that of the task with the earliest eta.",
        STRING,
    ),
)

METHODS = (
    Method(
        "taskqueues",
        "get",
        "GET",
        "{project}/taskqueues/{taskqueue}",
        "Tell about a pull queue.",
        (PROJECT, TASKQUEUE, Parameter("getStats", "Whether to tell its figures too.", BOOLEAN)),
        response="TaskQueue",
    ),
    Method(
        "tasks",
        "delete",
        "DELETE",
        "{project}/taskqueues/{taskqueue}/tasks/{task}",
        "Delete a task, leased or not. Its id stays taken for a week.",
        (PROJECT, TASKQUEUE, TASK),
    ),
    Method(
        "tasks",
        "get",
        "GET",
        "{project}/taskqueues/{taskqueue}/tasks/{task}",
        "Show a task, without leasing it.",
        (PROJECT, TASKQUEUE, TASK),
        response="Task",
    ),
    Method(
        "tasks",
        "insert",
        "POST",
        "{project}/taskqueues/{taskqueue}/tasks",
        "Add a task. Without an id it gets one; with one, it is added once, however often this is tried.",
        (PROJECT, TASKQUEUE),
        request="Task",
        response="Task",
        writes=True,
    ),
    Method(
        "tasks",
        "lease",
        "POST",
        "{project}/taskqueues/{taskqueue}/tasks/lease",
        "Lease tasks: until their leases end, nobody else gets them. Delete each when it is done.",
        (PROJECT, TASKQUEUE, *_LEASE),
        response="Tasks",
    ),
    Method(
        "tasks",
        "list",
        "GET",
        "{project}/taskqueues/{taskqueue}/tasks",
        "List up to 100 tasks in the order of their etas, leased ones too, without payloads.",
        (PROJECT, TASKQUEUE),
        response="Tasks2",
    ),
    Method(
        "tasks",
        "patch",
        "PATCH",
        "{project}/taskqueues/{taskqueue}/tasks/{task}",
        "Change when a task's lease ends. The body may be part of a task.",
        (PROJECT, TASKQUEUE, TASK, _NEW_LEASE),
        request="Task",
        response="Task",
    ),
    Method(
        "tasks",
        "update",
        "POST",
        "{project}/taskqueues/{taskqueue}/tasks/{task}",
        "Change when a task's lease ends. The body is the task as it was leased.",
        (PROJECT, TASKQUEUE, TASK, _NEW_LEASE),
        request="Task",
        response="Task",
    ),
)


def method(resource: str, name: str) -> Method:
    """A method by its names."""
    return next(found for found in METHODS if (found.resource, found.name) == (resource, name))


Schema = Mapping[str, object]


def _of(schema: Mapping[str, str], description: str, **more: object) -> Schema:
    return {**schema, "description": description, **more}


def _int64(description: str) -> Schema:
    return _of(INT64, description, pattern=_INT64_PATTERN)


SCHEMAS: Mapping[str, Schema] = {
    "Task": {
        "type": "object",
        "properties": {
            "kind": _of(STRING, "What this is.", default=TASK_KIND),
            "id": _of(STRING, "The task's name in its queue.", pattern=_TASK),
            "queueName": _of(STRING, "The queue's name; of a leased task in full, with the project."),
            "payloadBase64": _of(
                STRING, "The payload in base64's url-safe alphabet, up to 1 MB of it. Not listed.", pattern=_BASE64
            ),
            "enqueueTimestamp": _int64("When it was added, in microseconds since 1970."),
            "leaseTimestamp": _int64(
                "When its lease ends, in microseconds since 1970; of a task that is not leased, when it can or could be"
                " leased. Set by insert, where it is the eta; proof of the lease in update and patch."
            ),
            "retry_count": _of(INT32, "How often it was leased."),
            "tag": _of(STRING, "Its tag, up to 500 characters.", maxLength=limits.MAX_TAG_LENGTH),
        },
    },
    "TaskQueue": {
        "type": "object",
        "properties": {
            "kind": _of(STRING, "What this is.", default=QUEUE_KIND),
            "id": _of(STRING, "The queue's name."),
            "maxLeases": _of(INT32, "How often a task may be leased before it is deleted; left out: for ever."),
            "stats": {
                "type": "object",
                "description": "Figures, where they were asked for.",
                "properties": {
                    "totalTasks": _of(INT32, "How many tasks there are, leased ones too."),
                    "oldestTask": _int64("The earliest eta, in seconds since 1970; 0 where there is none."),
                    "leasedLastMinute": _int64("How many tasks this server leased in the last minute."),
                    "leasedLastHour": _int64("How many tasks this server leased in the last hour."),
                },
            },
            "acl": {
                "type": "object",
                "description": "Who may do what, as in queue.yaml.",
                "properties": {
                    "adminEmails": {
                        "type": "array",
                        "items": dict(STRING),
                        "description": "Nobody: queues are deployed.",
                    },
                    "consumerEmails": {
                        "type": "array",
                        "items": dict(STRING),
                        "description": "user_email: list, get, lease, update and delete.",
                    },
                    "producerEmails": {
                        "type": "array",
                        "items": dict(STRING),
                        "description": "writer_email: insert.",
                    },
                },
            },
        },
    },
    "Tasks": {
        "type": "object",
        "properties": {
            "kind": _of(STRING, "What this is.", default=LEASED_KIND),
            "items": {
                "type": "array",
                "items": {"$ref": "Task"},
                "description": "The leased tasks, by eta; left out where there are none.",
            },
        },
    },
    "Tasks2": {
        "type": "object",
        "properties": {
            "kind": _of(STRING, "What this is.", default=LISTED_KIND),
            "items": {
                "type": "array",
                "items": {"$ref": "Task"},
                "description": "The tasks, by eta; left out where there are none.",
            },
            "incomplete": _of(
                STRING, "Only where the broker cannot list tasks (RabbitMQ): what is listed, and why not all is."
            ),
        },
    },
}
