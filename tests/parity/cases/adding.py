"""Sections 3.1 and 3.2 of gae-semantics: adding tasks, in a transaction too."""

from tests.parity.case import Case, table

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

CASES: list[Case] = [*_ADDING, *_TRANSACTIONS]
