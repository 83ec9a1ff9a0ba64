"""Section 3 of gae-semantics: queues, adding, deleting, purging, leasing, statistics."""

from tests.parity.case import Case, table

_QUEUES = table("""
# a queue's name
Queue()
Queue('a').name
Queue('A-Z-0-9').name
Queue('x' * 100).name == 'x' * 100
Queue('x' * 101)
Queue('')
Queue('with_underscore')
Queue('with space')
Queue('a.b')
Queue('ü')
Queue('a\\n')    #! trailing-newline
Queue('a\\nb')
Queue(None)
Queue(5)
Queue(b'a')    #! bytes-names
Queue(name='a').name
Queue('does-not-exist').name
Queue('-').name

# queues compare by name and cannot be keys
Queue('a') == Queue('a')
Queue('a') != Queue('a')
Queue('a') == Queue('b')
Queue('a') != Queue('b')
Queue('a') == 'a'
Queue('a') != 'a'
Queue('a') == None
hash(Queue('a'))
repr(Queue('a'))
str(Queue())
attempt(lambda: setattr(Queue(), 'name', 'x'))
""")

_ADDING = table("""
# what add answers with
Queue().add(Task(url='/a'))
t = Task(url='/a')
Queue().add(t) is t
Queue().add([t2 := Task(url='/a')]) == [t2]
Queue().add((Task(url='/a'), Task(url='/b')))
[x.url for x in Queue().add(Task(url=u) for u in ('/x', '/y'))]
Queue().add(())
Queue().add([])
Queue().add(None)
Queue().add(0)
Queue().add('')
Queue().add(5)
Queue().add('text')
Queue().add([5])
Queue().add({})
len(stored())

# the answer is a new list
tasks = [Task(url='/a'), Task(url='/b')]
added = Queue().add(tasks)
added is tasks, added == tasks

# an empty batch through add_async
Queue().add_async([]).get_result()    #! empty-async
Queue().add_async(iter([])).get_result()    #! empty-async
Queue().add_async(()).get_result()    #! empty-async

# taskqueue.add
add(url='/a')
add('x', url='/a', queue_name='push', name='n')
add(b'x', method='PULL', queue_name='pull', tag='t')
add(url='/a', queue_name='nowhere')
add(url='/a', queue_name='bad_name')
add(url='/a', queue_name='')
add(url='/a', queue_name=None)
add(url='/a', rpc=None)
add(url='/a', transactional=True)
add(url='/a', deadline=5)
add()
stored(), stored('push'), stored('pull')

# Task.add
Task(url='/a').add()
Task(url='/a').add('push')
Task(url='/a').add(queue_name='push', transactional=False)
Task(url='/a').add('nowhere')
Task(url='/a').add(Queue('push'))
Task(url='/a').add(None)

# names chosen by the service
[t.name for t in Queue().add([Task(url='/a'), Task(url='/a', name='mine'), Task(url='/a')])]
add(url='/a').name
[row[0] for row in stored()]

# a task's default url is its queue's
add().url
Queue('push').add(Task(params={'a': 1}, method='GET'))
Queue('push').add(Task())
stored()
stored('push')

# push and pull do not mix
Queue().add([Task(url='/a'), Task('x', method='PULL')])
Queue('pull').add([Task('x', method='PULL'), Task(url='/a')])
Queue('nowhere').add([Task('x', method='PULL'), Task(url='/a')])
stored(), stored('pull')

# the queue's mode
Queue('pull').add(Task(url='/a'))
Queue('push').add(Task('x', method='PULL'))
Queue('pull').add([Task(url='/a'), Task(url='/a')])
stored('pull'), stored('push')

# at most a hundred
len(Queue().add([Task(url='/a') for _ in range(100)]))
Queue().add([Task(url='/a') for _ in range(101)])
Queue().add([Task(url='/a', name='same') for _ in range(101)])
Queue().add([Task('x', method='PULL')] + [Task(url='/a') for _ in range(101)])
len(stored())

# a name twice in one call
Queue().add([Task(url='/a', name='n'), Task(url='/a', name='n')])
one, two = Task(url='/a', name='m'), Task(url='/a', name='m')
Queue().add([one, Task(url='/a'), two])
one.was_enqueued, two.was_enqueued
stored()

# the same task twice in one call
t = Task(url='/a')
Queue().add([t, t])
n = Task(url='/a', name='n')
Queue().add([n, n])
len(stored())

# a task that was added already
t = add(url='/a')
t.add()
t.add('push')
Queue().add([Task(url='/b'), t])
Queue('pull').add(Task('x', method='PULL')).name
advance(1)
leased = Queue('pull').lease_tasks(60, 1)
Queue('pull').add(leased)
Queue('push').add(leased[0])
len(stored())

# which error comes first in a call
t = add(url='/a')
n = [Task(url='/a', name='n'), Task(url='/a', name='n')]
Queue().add([t, *n])
Queue().add([*n, t])
Queue('nowhere').add([t])
Queue('nowhere').add(n)
Queue('pull').add(n)
Queue().add(t, transactional=True)
Queue().add(Task(url='/a', name='n'), transactional=True)
Queue().add([Task(url='/a'), Task('x', method='PULL'), t])

# unknown queues
Queue('nowhere').add(Task(url='/a'))
t = Task(url='/a', name='n')
Queue('nowhere').add([t, Task(url='/b')])
t.was_enqueued, t.queue_name
t.add().name

# a name is a name of one queue
Queue('push').add(Task(url='/a', name='n')).name
Queue('default').add(Task(url='/a', name='n')).name
Queue('push').add(Task(url='/a', name='n'))

# existing, executed, deleted and purged names
add(url='/a', name='n').name
add(url='/a', name='n')
run()
add(url='/a', name='n')
add(url='/a', name='d', countdown=60).name
Queue().delete_tasks_by_name('d').was_deleted
add(url='/a', name='d')
add(url='/a', name='p', countdown=60).name
Queue().purge()
add(url='/a', name='p')
add(url='/a', name='n', countdown=5)
add(url='/a').name

# a task that is tried again keeps its name
add(url='/a', name='n').name
[r['url'] for r in run(500)]
add(url='/a', name='n')

# a task that was given up bars its name
add(url='/a', name='n', retry_options=TaskRetryOptions(task_retry_limit=0)).name
[r['url'] for r in run(500)]
add(url='/a', name='n')
stored()

# several tasks fail: collisions
add(url='/a', name='live', countdown=60).name
add(url='/a', name='dead', countdown=60).name
Queue().delete_tasks_by_name('dead').was_deleted
b = [Task(url='/a', name='x1'), Task(url='/a', name='live'), Task(url='/a', name='dead'), Task(url='/a', name='x2')]
Queue().add(b)
[t.was_enqueued for t in b]
[t.queue_name for t in b]
c = [Task(url='/a', name='y1'), Task(url='/a', name='dead'), Task(url='/a', name='live')]
Queue().add(c)
[t.was_enqueued for t in c]
[row[0] for row in stored()]

# several tasks fail: one is invalid for the service, none is added
big = Task(b'x' * 103000, url='/a', name='big', _size_check=False)
live = add(url='/a', name='live', countdown=60)
b = [Task(url='/a', name='a1'), Task(url='/a', name='live'), big, Task(url='/a')]
Queue().add(b)
[t.was_enqueued for t in b]
[t.name for t in b]
Queue().add([big, Task(url='/a')])
Queue().add(big)
[row[0] for row in stored()]

# sizes are checked by the service too
Queue().add(Task(b'x' * 102000, url='/a', _size_check=False)).was_enqueued
Queue().add(Task(b'x' * 103000, url='/a', _size_check=False))
Queue('pull').add(Task(b'x' * 1048000, method='PULL', _size_check=False)).was_enqueued
Queue('pull').add(Task(b'x' * 1049000, method='PULL', _size_check=False))

# an eta that became too late before the add
t = Task(url='/a', countdown=30 * 86400 - 1)
advance(10)
t.add().was_enqueued
early = Task(url='/a', eta=datetime.datetime(1970, 1, 2, tzinfo=datetime.timezone.utc))
early.add().was_enqueued
Task(url='/a', eta=datetime.datetime(1969, 1, 2, tzinfo=datetime.timezone.utc)).add()

# what is stored
add('x', url='/a?', name='n1', countdown=5)
add(url='/a', params={'a': [1, 2]}, name='n2', countdown=4)
add(url='/g', params={'a': [1, 2]}, method='GET', name='n3', countdown=3)
add('x', method='PULL', queue_name='pull', tag='', name='n4')
stored()
stored('pull')

# adding outside of a transaction, wanting one
add(url='/a', transactional=True)
Queue().add([Task(url='/a')], transactional=True)
Queue().add(Task(url='/a', name='n'), transactional=True)
Queue().add([], transactional=True)
Task(url='/a').add(transactional=True)
Task(url='/a').add_async(transactional=True)
stored()
""")

_TRANSACTIONS = table(
    """
# tasks appear with the commit
in_transaction(lambda: add(url='/a', transactional=True), lambda: len(stored()))
stored()

# and not with a rollback
in_transaction(lambda: add(url='/a', transactional=True), rollback=True)
stored()

# five at most
in_transaction(*[lambda: add(url='/a', transactional=True).was_enqueued] * 5)
in_transaction(*[lambda: add(url='/a', transactional=True).was_enqueued] * 6)    #! sixth-transactional
in_transaction(lambda: len(Queue().add([Task(url='/a') for _ in range(6)], transactional=True)))    #! sixth-transactional
len(stored())

# names cannot be chosen
in_transaction(lambda: add(url='/a', name='n', transactional=True))
in_transaction(lambda: Queue().add([Task(url='/a'), Task(url='/a', name='n')], transactional=True))
stored()

# an add that is not transactional takes effect at once
in_transaction(lambda: add(url='/a', name='n').was_enqueued, lambda: len(stored()), rollback=True)
[row[0] for row in stored()]

# a task is marked before the commit, and stays so after a rollback
t = Task(url='/a')
in_transaction(lambda: t.add(transactional=True).was_enqueued, lambda: t.name is not None, rollback=True)
t.was_enqueued

# an unknown queue is found at once
in_transaction(lambda: add(url='/a', queue_name='nowhere', transactional=True))

# pull tasks too
in_transaction(lambda: Queue('pull').add(Task('x', method='PULL', tag='t'), transactional=True).was_enqueued)
[row[1:] for row in stored('pull')]

# the request has a size
in_transaction(lambda: Queue('pull').add([Task(b'x' * 600000, method='PULL') for _ in range(2)], transactional=True))
stored('pull')
""",
    datastore=True,
)

_DELETING = table("""
# what delete_tasks answers with
t = add(url='/a', name='n', countdown=60)
Queue().delete_tasks(t) is t
t.was_deleted
Queue().delete_tasks([add(url='/a', countdown=60), add(url='/b', countdown=60)])
Queue().delete_tasks(iter([add(url='/a', countdown=60)]))
Queue().delete_tasks(())
Queue().delete_tasks([])
Queue().delete_tasks(None)
Queue().delete_tasks(5)
Queue().delete_tasks('n')
stored()

# deleting twice
t = add(url='/a', name='n', countdown=60)
Queue().delete_tasks(t).was_deleted
Queue().delete_tasks(t)
again = Queue().delete_tasks(Task(name='n'))
again.was_deleted

# only the name matters
add(url='/a', name='n', countdown=60).name
Queue().delete_tasks(Task(name='n')).was_deleted
stored()

# what is not there
Queue().delete_tasks(Task(name='never')).was_deleted
Queue().delete_tasks(Task(url='/a'))
Queue('nowhere').delete_tasks(Task(name='n'))
Queue('nowhere').delete_tasks([Task(name='n'), Task(name='m')])
Queue('push').delete_tasks(add(url='/a', name='other', countdown=60)).was_deleted

# a deleted name that was never added can be added
Queue().delete_tasks(Task(name='never')).was_deleted
add(url='/a', name='never').name

# a mixed batch
a = add(url='/a', name='a', countdown=60)
b = [a, Task(name='never'), Task(name='b')]
[t.was_deleted for t in Queue().delete_tasks(b)]
Queue().delete_tasks([Task(name='x'), Task(name='x')])
Queue().delete_tasks([Task(name='x'), Task(url='/a')])
Queue().delete_tasks([Task(name='x'), a])

# many at once
tasks = Queue('pull').add([Task('x', method='PULL') for _ in range(100)])
more = Queue('pull').add([Task('x', method='PULL') for _ in range(60)])
all(t.was_deleted for t in Queue('pull').delete_tasks(tasks + more))
stored('pull')

# by name
add(url='/a', name='n', countdown=60).name
Queue().delete_tasks_by_name('n')
Queue().delete_tasks_by_name('n').was_deleted
Queue().delete_tasks_by_name('never').was_deleted
Queue().delete_tasks_by_name(['never', 'n'])
Queue().delete_tasks_by_name(('never',))
Queue().delete_tasks_by_name([])
Queue().delete_tasks_by_name('bad name')
Queue().delete_tasks_by_name(['fine', 'bad name'])
Queue().delete_tasks_by_name(['x', 'x'])
Queue().delete_tasks_by_name('')
Queue().delete_tasks_by_name(None)
Queue().delete_tasks_by_name(5)
Queue('nowhere').delete_tasks_by_name('n')

# leased tasks, by anyone and after the lease too
q = Queue('pull')
q.add([Task('x', method='PULL', name='a'), Task('y', method='PULL', name='b')])
leased = q.lease_tasks(10, 2)
q.delete_tasks_by_name('a').was_deleted
q.delete_tasks(leased[0]).was_deleted
advance(20)
q.delete_tasks(leased[1]).was_deleted
stored('pull')

# a deleted task is not run
add(url='/a', name='n').name
add(url='/b').name
Queue().delete_tasks_by_name('n').was_deleted
[r['url'] for r in run()]

# a purge removes what is leased, delayed and ready
q = Queue('pull')
q.add([Task('x', method='PULL', name='a'), Task('y', method='PULL', name='b', countdown=60), Task('z', method='PULL', tag='t')])
len(q.lease_tasks(10, 1))
q.purge()
stored('pull')
q.add(Task('x', method='PULL', name='a'))
q.add(Task('x', method='PULL', name='b'))
q.add(Task('x', method='PULL', name='c')).name
Queue('nowhere').purge()
Queue().purge()
""")

_LEASING = table("""
# what a leased task looks like
q = Queue('pull')
q.add(Task('x', method='PULL', name='n', tag='t'))
advance(1)
leased = q.lease_tasks(60, 10)
leased[0].headers
repr(leased[0])
q.lease_tasks(60, 10)

# arguments
q = Queue('pull')
q.lease_tasks(-1, 1)
q.lease_tasks(-0.1, 1)
q.lease_tasks(0, 1)
q.lease_tasks(0.5, 1)
q.lease_tasks(604800, 1)
q.lease_tasks(604800.5, 1)
q.lease_tasks(604801, 1)
q.lease_tasks('60', 1)
q.lease_tasks(None, 1)
q.lease_tasks(float('nan'), 1)    #! impossible-times
q.lease_tasks(float('inf'), 1)
q.lease_tasks(True, 1)
q.lease_tasks(1, 0)
q.lease_tasks(1, -1)
q.lease_tasks(1, 1000)
q.lease_tasks(1, 1001)
q.lease_tasks(1, 1.0)
q.lease_tasks(1, '1')
q.lease_tasks(1, None)
q.lease_tasks(1, True)    #! wrong-types
q.lease_tasks(-1, 0)
q.lease_tasks(-1, 1, deadline=0)
q.lease_tasks(1, 0, deadline=0)
q.lease_tasks()
q.lease_tasks(1)
q.lease_tasks(lease_seconds=1, max_tasks=1, deadline=5)

# which queues
Queue('push').lease_tasks(1, 1)
Queue().lease_tasks(1, 1)
Queue('nowhere').lease_tasks(1, 1)
Queue('push').lease_tasks_by_tag(1, 1)
Queue('nowhere').lease_tasks_by_tag(1, 1, tag='t')

# in order of eta, then name
q = Queue('pull')
q.add([Task('x', method='PULL', name=n, countdown=c) for n, c in [('c', -5), ('a', -5), ('b', -9), ('d', -1), ('late', 60)]])
[t.name for t in q.lease_tasks(60, 3)]
[t.name for t in q.lease_tasks(60, 3)]
advance(61)
[t.name for t in q.lease_tasks(60, 10)]

# a task becomes leasable after its eta, not at it
q = Queue('pull')
q.add(Task('x', method='PULL', eta=at(1))).name
[t.name for t in q.lease_tasks(60, 3)]
advance(0.96)
[t.name for t in q.lease_tasks(60, 3)]
advance(0.02)
[t.name for t in q.lease_tasks(60, 3)]

# an expired lease puts a task behind what was waiting
q = Queue('pull')
q.add(Task('x', method='PULL', name='first', countdown=-100)).name
[t.name for t in q.lease_tasks(5, 1)]
q.add(Task('x', method='PULL', name='second', countdown=-50)).name
advance(10)
[(t.name, t.retry_count) for t in q.lease_tasks(5, 10)]

# leases are counted
q = Queue('pull')
q.add(Task('x', method='PULL', name='n')).name
[t.retry_count for t in q.lease_tasks(1, 1)]
advance(2)
[t.retry_count for t in q.lease_tasks(1, 1)]
advance(2)
[t.retry_count for t in q.lease_tasks(0, 1)]
[t.retry_count for t in q.lease_tasks(0, 1)]

# the queue's limit of leases: the next attempt drops the task, and it counts
q = Queue('pull-twice')
q.add([Task('x', method='PULL', name='a', countdown=-9), Task('x', method='PULL', name='b')])
[t.name for t in q.lease_tasks(1, 1)]
advance(2)
[t.name for t in q.lease_tasks(1, 10)]
advance(2)
[t.name for t in q.lease_tasks(1, 1)]
advance(2)
stored('pull-twice')
[t.name for t in q.lease_tasks(1, 1)]
[t.name for t in q.lease_tasks(1, 10)]
advance(2)
[t.name for t in q.lease_tasks(1, 10)]
stored('pull-twice')
q.add(Task('x', method='PULL', name='a'))

# payloads come back as bytes
q = Queue('pull')
q.add([Task('ü', method='PULL', name='a'), Task(b'\\xff', method='PULL', name='b'), Task(method='PULL', params={'a': [1, 2]}, name='c'), Task('', method='PULL', name='d')])
advance(1)
[(t.name, t.payload, attempt(t.extract_params)) for t in q.lease_tasks(60, 10)]

# a tagged and an untagged lease
q = Queue('pull')
q.add([Task('x', method='PULL', name=n, tag=g, countdown=c) for n, g, c in [('a', 't', -5), ('b', None, -4), ('c', 'u', -3), ('d', 't', -2), ('e', '', -1)]])
[(t.name, t.tag) for t in q.lease_tasks_by_tag(60, 10, tag='t')]
[(t.name, t.tag) for t in q.lease_tasks_by_tag(60, 10, tag='none')]
[(t.name, t.tag) for t in q.lease_tasks(60, 10)]

# no tag means the oldest task's
q = Queue('pull')
q.add([Task('x', method='PULL', name=n, tag=g, countdown=c) for n, g, c in [('a', 't', -9), ('b', None, -8), ('c', 'u', -7), ('d', 't', -6), ('e', None, -5)]])
[t.name for t in q.lease_tasks_by_tag(60, 10)]
[t.name for t in q.lease_tasks_by_tag(60, 10, tag='')]
[t.name for t in q.lease_tasks_by_tag(60, 10, tag=None)]
[t.name for t in q.lease_tasks_by_tag(60, 10)]

# no tag, few wanted: others between do not count
q = Queue('pull')
q.add([Task('x', method='PULL', name=n, tag=g, countdown=c) for n, g, c in [('a', None, -9), ('b', 't', -8), ('c', None, -7), ('d', None, -6)]])
[t.name for t in q.lease_tasks_by_tag(60, 2)]    #! untagged-lease

# a lease by tag counts and limits like another
q = Queue('pull-twice')
q.add(Task('x', method='PULL', name='n', tag='t')).name
[t.retry_count for t in q.lease_tasks_by_tag(1, 1, tag='t')]
advance(2)
[t.retry_count for t in q.lease_tasks(1, 1)]
advance(2)
[t.retry_count for t in q.lease_tasks_by_tag(1, 1, tag='t')]
stored('pull-twice')

# the tag is checked
q = Queue('pull')
q.lease_tasks_by_tag(1, 1, tag='t' * 500)
q.lease_tasks_by_tag(1, 1, tag='t' * 501)
q.lease_tasks_by_tag(1, 1, tag=5)    #! wrong-types
q.lease_tasks_by_tag(1, 1, tag=b'bytes')
q.lease_tasks_by_tag(-1, 1)
q.lease_tasks_by_tag(1, 0)
q.lease_tasks_by_tag(1, 1.5)
q.lease_tasks_by_tag('1', 1)
q.lease_tasks_by_tag(1, 1, 't', 5)

# a push task in a queue that is a pull queue now is another matter
q = Queue('push')
q.add(Task(url='/a', name='n')).name
q.lease_tasks(1, 1)

# modify_task_lease
q = Queue('pull')
q.add(Task('x', method='PULL', name='n')).name
advance(1)
[t] = q.lease_tasks(60, 1)
q.modify_task_lease(t, 30)
t
q.modify_task_lease(t, 0)
t.eta
advance(1)
q.modify_task_lease(t, 10)
[(t.name, t.retry_count) for t in q.lease_tasks(60, 1)]

# modify_task_lease: arguments
q = Queue('pull')
q.add(Task('x', method='PULL', name='n')).name
advance(1)
t = q.lease_tasks(60, 1)[0]
q.modify_task_lease(t, -1)
q.modify_task_lease(t, 604801)
q.modify_task_lease(t, '1')
q.modify_task_lease(t, None)
q.modify_task_lease(t, 0.5)
q.modify_task_lease(None, 1)
q.modify_task_lease(Task('x', method='PULL'), 1)    #! wrong-types
t.eta

# modify_task_lease: an outdated task
q = Queue('pull')
q.add(Task('x', method='PULL', name='n', tag='g')).name
advance(1)
old = q.lease_tasks(5, 1)[0]
advance(6)
new = q.lease_tasks(60, 1)[0]
q.modify_task_lease(old, 10)
q.modify_task_lease(new, 10)
again = Task('x', method='PULL', name='n', eta=new.eta)
q.modify_task_lease(again, 20)
q.modify_task_lease(new, 20)

# modify_task_lease: an expired lease
q = Queue('pull')
q.add(Task('x', method='PULL', name='n')).name
advance(1)
t = q.lease_tasks(5, 1)[0]
advance(6)
q.modify_task_lease(t, 10)

# modify_task_lease: tasks that are not there
q = Queue('pull')
q.add(Task('x', method='PULL', name='n')).name
advance(1)
t = q.lease_tasks(60, 1)[0]
q.delete_tasks(t).was_deleted
q.modify_task_lease(t, 10)
q.modify_task_lease(Task('x', method='PULL', name='never', eta=at(9)), 10)    #! unknown-task
Queue('push').modify_task_lease(Task('x', method='PULL', name='never'), 10)
Queue('nowhere').modify_task_lease(Task('x', method='PULL', name='never'), 10)

# modify_task_lease: a task that was never leased
q = Queue('pull')
t = q.add(Task('x', method='PULL', name='n', countdown=60))
q.modify_task_lease(t, 10)
t.eta, t.retry_count
advance(11)
[t.retry_count for t in q.lease_tasks(60, 1)]

# modify_task_lease: a push queue
t = add(url='/a', name='n', countdown=10)
Queue().modify_task_lease(t, 10)

# modify_task_lease: a paused queue
q = Queue('pull')
q.add(Task('x', method='PULL', name='n')).name
advance(1)
t = q.lease_tasks(60, 1)[0]
pause('pull')
q.modify_task_lease(t, 10)
q.add(Task('x', method='PULL', name='m')).name
pause('pull', False)
q.modify_task_lease(t, 10)

# a paused queue leases nothing
q = Queue('pull')
q.add(Task('x', method='PULL', name='n')).name
advance(1)
pause('pull')
len(q.lease_tasks(60, 1))    #! paused-lease
""")

_STATISTICS = table("""
# of an empty queue
Queue('pull').fetch_statistics()
Queue().fetch_statistics()
QueueStatistics.fetch('push')

# tasks that wait, are delayed or leased all count
q = Queue('pull')
q.add([Task('x', method='PULL', countdown=c) for c in (-5, 60, 120)])
q.fetch_statistics()
len(q.lease_tasks(30, 1))
q.fetch_statistics()
q.add(Task('x', method='PULL', tag='t', countdown=-9)).was_enqueued
q.fetch_statistics()
q.delete_tasks(q.lease_tasks_by_tag(30, 1, tag='t'))
q.fetch_statistics()
q.purge()
q.fetch_statistics()

# of push queues
Queue('push').add([Task(url='/a'), Task(url='/b', countdown=60)])
Queue('push').fetch_statistics()
[r['url'] for r in run()]
Queue('push').fetch_statistics()

# of several queues
QueueStatistics.fetch(['pull', 'push'])
QueueStatistics.fetch([Queue('pull'), Queue('push')])
QueueStatistics.fetch(('push', 'pull', 'push'))
QueueStatistics.fetch(Queue('pull'))
QueueStatistics.fetch(iter(['pull']))
QueueStatistics.fetch([])
QueueStatistics.fetch(None)
QueueStatistics.fetch('')
QueueStatistics.fetch(['pull', Queue('push')])
QueueStatistics.fetch([Queue('push'), 'pull'])
QueueStatistics.fetch('bad_name')
QueueStatistics.fetch(['pull', 'bad_name'])
QueueStatistics.fetch([5])    #! wrong-types
QueueStatistics.fetch(5)    #! wrong-types

# of an unknown queue
QueueStatistics.fetch('nowhere')    #! unknown-statistics
Queue('nowhere').fetch_statistics()    #! unknown-statistics

# built by hand
s = QueueStatistics(Queue('a'), 5)
s.oldest_eta_usec, s.executed_last_minute, s.in_flight, s.enforced_rate
s == QueueStatistics(Queue('a'), 5), s != QueueStatistics(Queue('a'), 5)
s == QueueStatistics(Queue('b'), 5), s == QueueStatistics(Queue('a'), 6)
s == QueueStatistics(Queue('a'), 5, oldest_eta_usec=1), s == 5, s != 5
hash(s)
repr(s)
repr(QueueStatistics(queue=Queue('a'), tasks=1, oldest_eta_usec=2, executed_last_minute=3, in_flight=4, enforced_rate=5.5))
QueueStatistics('a', 5).queue
QueueStatistics(Queue('a'))
""")

CASES: list[Case] = [*_QUEUES, *_ADDING, *_TRANSACTIONS, *_DELETING, *_LEASING, *_STATISTICS]
