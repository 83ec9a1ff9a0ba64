"""Sections 3.5 to 3.7 of gae-semantics: leasing, leasing by tag, changing leases."""

from tests.parity.case import Case, table

CASES: list[Case] = table("""
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
