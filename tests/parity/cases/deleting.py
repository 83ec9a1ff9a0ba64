"""Sections 3.3 and 3.4 of gae-semantics: deleting and purging."""

from tests.parity.case import Case, table

CASES: list[Case] = table("""
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
