"""Sections 2.4 and 2.6 of gae-semantics: retry options, targets and the Host header."""

from tests.parity.case import Case, table

_RETRY_OPTIONS = table("""
# all of them default to None
TaskRetryOptions()

# each of them
TaskRetryOptions(min_backoff_seconds=1)
TaskRetryOptions(max_backoff_seconds=2.5)
TaskRetryOptions(task_age_limit=3)
TaskRetryOptions(max_doublings=4)
TaskRetryOptions(task_retry_limit=5)
TaskRetryOptions(min_backoff_seconds=1, max_backoff_seconds=2.5, task_age_limit=3, max_doublings=4, task_retry_limit=5)

# zero is allowed everywhere
TaskRetryOptions(min_backoff_seconds=0, max_backoff_seconds=0, task_age_limit=0, max_doublings=0, task_retry_limit=0)

# negative is not
TaskRetryOptions(min_backoff_seconds=-1)
TaskRetryOptions(max_backoff_seconds=-0.1)
TaskRetryOptions(task_age_limit=-1)
TaskRetryOptions(max_doublings=-1)
TaskRetryOptions(task_retry_limit=-1)

# the bounds of backoff must be in order
TaskRetryOptions(min_backoff_seconds=5, max_backoff_seconds=4)
TaskRetryOptions(min_backoff_seconds=5, max_backoff_seconds=5)
TaskRetryOptions(min_backoff_seconds=7200)
TaskRetryOptions(max_backoff_seconds=0.01)

# the age limit is rounded up to seconds
TaskRetryOptions(task_age_limit=1.2)
TaskRetryOptions(task_age_limit=0.1)
TaskRetryOptions(task_age_limit=-0.1)
TaskRetryOptions(task_age_limit='2d')
TaskRetryOptions(task_age_limit='5')

# unknown ones
TaskRetryOptions(foo=1)
TaskRetryOptions(1)
TaskRetryOptions(retry_limit=1)

# of other types
TaskRetryOptions(task_retry_limit='5')
TaskRetryOptions(task_retry_limit=1.5)
TaskRetryOptions(min_backoff_seconds='1')
TaskRetryOptions(max_doublings=None)

# they cannot be set
attempt(lambda: setattr(TaskRetryOptions(), 'task_retry_limit', 1))
attempt(lambda: setattr(TaskRetryOptions(), 'min_backoff_seconds', 1))

# repr of retry options, whose parts App Engine's library puts in the order of a set
sorted(repr(TaskRetryOptions())[17:-1].split(', '))
sorted(repr(TaskRetryOptions(task_retry_limit=1, max_backoff_seconds=3.5, task_age_limit=4))[17:-1].split(', '))
repr(TaskRetryOptions(max_doublings=0)).startswith('TaskRetryOptions(')
""")

_HOSTS = """
# no target and no Host
Task(url='/a')
Task(url='/a').target
repr(Task(url='/a').target)

# a target
Task(url='/a', target='v1')
Task(url='/a', target='v1.module')
Task(url='/a', target='1.v1.module').headers
Task(url='/a', target=DEFAULT_APP_VERSION).headers
Task(url='/a', target=DEFAULT_APP_VERSION).target is DEFAULT_APP_VERSION
Task(url='/a', target='')
Task(url='/a', target='UPPER').headers
Task(url='/a', target=None).headers

# a Host
Task(url='/a', headers={'Host': 'v1.myapp.appspot.com'})
Task(url='/a', headers={'host': 'myapp.appspot.com'})
Task(url='/a', headers={'HOST': 'elsewhere.example.com'})
Task(url='/a', headers={'Host': 'xmyapp.appspot.com'})
Task(url='/a', headers={'Host': ''}).headers
Task(url='/a', headers={'Host': 'a.b.myapp.appspot.com'}).target

# both
Task(url='/a', target='v1', headers={'Host': 'x'})
Task(url='/a', target='v1', headers={'HOST': 'x'})
Task(url='/a', target='', headers={'HOST': 'x'})

# pull tasks have a Host too
Task('x', method='PULL').headers
Task('x', method='PULL').target is None
"""

_ENVIRONMENTS: dict[str, dict[str, str | None]] = {
    "in a test": {},
    "with no Host known": {"HTTP_HOST": None},
    "in production": {
        "HTTP_HOST": "v7.myapp.appspot.com",
        "DEFAULT_VERSION_HOSTNAME": "myapp.appspot.com",
        "SERVER_SOFTWARE": "Google App Engine/1.9",
    },
    "in production, default version": {
        "HTTP_HOST": "myapp.appspot.com",
        "DEFAULT_VERSION_HOSTNAME": "myapp.appspot.com",
        "SERVER_SOFTWARE": "Google App Engine/1.9",
    },
    "outside of a request": {
        "HTTP_HOST": None,
        "DEFAULT_VERSION_HOSTNAME": "myapp.appspot.com",
        "SERVER_SOFTWARE": None,
    },
}

_WHERE_THEY_RUN = table("""
# a target reaches the dispatcher even where no Host can be made of it
add(url='/a', target='v1').headers
[r['target'] for r in run()]    #! target-host
""")

CASES: list[Case] = [
    *_WHERE_THEY_RUN,
    *_RETRY_OPTIONS,
    *(
        Case(f"{case.name}, {where}", case.lines, environment=environment)
        for where, environment in _ENVIRONMENTS.items()
        for case in table(_HOSTS)
    ),
]
