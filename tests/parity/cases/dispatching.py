"""Sections 5 and 6 of gae-semantics: the requests made of push tasks, retries and giving up."""

from tests.parity.case import Case, table

_REQUESTS = table("""
# the simplest request
add(url='/a', name='n')
run()
stored()

# every header of a first request, ours and theirs
add(url='/a', name='n').name
run(all_headers=True)    #! request-headers

# every header of a second one
add(url='/a', name='n').name
[r['url'] for r in run(500)]
advance(10)
run(all_headers=True)    #! request-headers

# bodies and their types
add('text', url='/a')
add(b'bytes', url='/a')
add(params={'a': [1, 2]}, url='/a')
add('', url='/a')
add(url='/a', headers={'Content-Type': 'x/y'}, payload=b'b')
add(url='/a', headers={'Content-Type': 'x/y'})
run()

# methods
add(url='/get', method='GET', params={'a': 1})
add(url='/head', method='HEAD')
add(url='/delete', method='DELETE')
add('x', url='/put', method='PUT', params={'q': 'ü'})
add(url='/get?x=1', method='GET')
run()

# the queue's own url
add(queue_name='push', params={'a': 1}, method='GET')
add(queue_name='push')
add(queue_name='default')
run()

# headers of the caller
add(url='/a', headers={'X-Mine': '1', 'UPPER': 'Case', 'Accept': 'a/b'})
add(url='/a', headers={'X-AppEngine-Foo': '1', 'X-AppEngine-FailFast': 'true', 'X-AppEngine-Current-Namespace': 'ns'})
add(url='/a', headers={'X-AppEngine-TaskName': 'f', 'X-APPENGINE-QUEUENAME': 'f', 'x-appengine-taskretrycount': '9'})
add(url='/a', headers={'X-AppEngine-TaskETA': '0', 'x-appengine-taskexecutioncount': '9', 'content-length': '99'})
add(url='/a', headers={'X-AppEngine-TaskPreviousResponse': '1', 'X-AppEngine-Development-Payload': '1'})
add(url='/a', headers={'Host': 'other.example.com'})
add(url='/a', headers={'Many': ['1', '2']})
run()

# targets of the queue and of the task
add(url='/a', queue_name='targeted')
add(url='/a', queue_name='targeted', target='v9')
run()

# what is due runs in order of eta, whatever its queue
add(url='/3', countdown=-1, queue_name='push').name
add(url='/1', countdown=-3).name
add(url='/2', countdown=-2, queue_name='push-limited').name
add(url='/late', countdown=60).name
[r['url'] for r in run()]
[row[2] for row in stored()]
advance(61)
[r['url'] for r in run()]

# pull tasks are not run
Queue('pull').add(Task('x', method='PULL')).was_enqueued
run()

# which statuses are success
add(url='/a').name
[r['url'] for r in run(199)], len(stored())
advance(10)
[r['url'] for r in run(200)], len(stored())
add(url='/b').name
[r['url'] for r in run(299)], len(stored())
add(url='/c').name
[r['url'] for r in run(300)], len(stored())
advance(10)
[r['url'] for r in run(302)], len(stored())
advance(10)
[r['url'] for r in run(404)], len(stored())
advance(10)
[r['url'] for r in run(503)], len(stored())
advance(10)
[r['url'] for r in run(204)], len(stored())
""")

_DELIVERY_HOSTS = table(
    """
# a task's Host and target in production
add(url='/a')
add(url='/a', target='v1')
add(url='/a', target='v1.module')
add(url='/a', target=DEFAULT_APP_VERSION)
add(url='/a', headers={'Host': 'elsewhere.example.com'})
add(url='/a', headers={'Host': 'v3.myapp.appspot.com'})
[dict(r['headers']).get('host') for r in run()]    #! target-host
""",
    environment={
        "HTTP_HOST": "v7.myapp.appspot.com",
        "DEFAULT_VERSION_HOSTNAME": "myapp.appspot.com",
        "SERVER_SOFTWARE": "Google App Engine/1.9",
    },
)

_RETRIES = table(
    """
# the default schedule: a tenth of a second, doubled sixteen times, an hour at most
add(url='/a', name='n').name
"""
    + """[r['url'] for r in run(500)], stored()
advance((stored()[0][1] * 1000 - now_us()) / 1e6)
"""
    * 20
    + """
# twenty, forty: a queue's own schedule
add(url='/a', name='n', queue_name='push-limited').name
[r['url'] for r in run(500)], stored('push-limited')
advance(9)
run()
advance(2)
[r['url'] for r in run(500)], stored('push-limited')
advance(21)
[r['url'] for r in run(500)], stored('push-limited')
add(url='/a', name='n', queue_name='push-limited')

# what a handler sees of earlier attempts
add(url='/a', name='n', queue_name='push-both').name
run(500)
advance(21)
run(404)
advance(41)
run(200)
stored('push-both')

# an age limit counts from the first attempt
add(url='/a', name='n', queue_name='push-aged').name
advance(1000)
[r['url'] for r in run(500)], stored('push-aged')
advance(21)
[r['url'] for r in run(500)], stored('push-aged')
advance(41)
[r['url'] for r in run(500)], stored('push-aged')
add(url='/a', name='n', queue_name='push-aged')

# both limits: given up when both are exceeded
add(url='/a', name='n', queue_name='push-both').name
[r['url'] for r in run(500)], stored('push-both')
advance(21)
[r['url'] for r in run(500)], stored('push-both')
advance(21)
[r['url'] for r in run(500)], stored('push-both')
advance(41)
[r['url'] for r in run(500)], stored('push-both')

# a limit of none
add(url='/a', name='n', retry_options=TaskRetryOptions(task_retry_limit=0)).name
[r['url'] for r in run(500)], stored()

# a task's options replace the queue's wholesale
add(url='/a', name='n', queue_name='push-limited', retry_options=TaskRetryOptions(min_backoff_seconds=3)).name
[r['url'] for r in run(500)], stored('push-limited')
advance(4)
[r['url'] for r in run(500)], stored('push-limited')
advance(7)
[r['url'] for r in run(500)], stored('push-limited')
advance(13)
[r['url'] for r in run(500)], stored('push-limited')

# options without any value leave the queue's
add(url='/a', name='n', queue_name='push-limited', retry_options=TaskRetryOptions()).name
[r['url'] for r in run(500)], stored('push-limited')

# options of every kind
add(url='/a', name='a', retry_options=TaskRetryOptions(min_backoff_seconds=10, max_backoff_seconds=30, max_doublings=0)).name
[r['url'] for r in run(500)], stored()
advance(11)
[r['url'] for r in run(500)], stored()
advance(21)
[r['url'] for r in run(500)], stored()
advance(31)
[r['url'] for r in run(500)], stored()

# doublings, then linear growth
add(url='/a', name='a', retry_options=TaskRetryOptions(min_backoff_seconds=10, max_backoff_seconds=300, max_doublings=3)).name
[r['url'] for r in run(500)], stored()
advance(10)
[r['url'] for r in run(500)], stored()
advance(20)
[r['url'] for r in run(500)], stored()
advance(40)
[r['url'] for r in run(500)], stored()
advance(80)
[r['url'] for r in run(500)], stored()
advance(160)
[r['url'] for r in run(500)], stored()
advance(240)
[r['url'] for r in run(500)], stored()
advance(300)
[r['url'] for r in run(500)], stored()

# only a minimum above the default maximum, in a task
add(url='/a', name='a', retry_options=TaskRetryOptions(min_backoff_seconds=7200)).name
[r['url'] for r in run(500)], stored()

# only a maximum below the default minimum, in a task
add(url='/a', name='a', retry_options=TaskRetryOptions(max_backoff_seconds=0.05)).name
[r['url'] for r in run(500)], stored()

# fractions of seconds
add(url='/a', name='a', retry_options=TaskRetryOptions(min_backoff_seconds=0.25, max_doublings=1)).name
[r['url'] for r in run(500)], stored()
advance(0.3)
[r['url'] for r in run(500)], stored()
advance(0.6)
[r['url'] for r in run(500)], stored()

# an age limit of a task
add(url='/a', name='a', retry_options=TaskRetryOptions(task_age_limit=5, min_backoff_seconds=2, max_doublings=0)).name
[r['url'] for r in run(500)], stored()
advance(3)
[r['url'] for r in run(500)], stored()
advance(5)
[r['url'] for r in run(500)], stored()
"""
)

CASES: list[Case] = [*_REQUESTS, *_DELIVERY_HOSTS, *_RETRIES]
