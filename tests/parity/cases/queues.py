"""Sections 3 and 3.8 of gae-semantics: queues and their statistics."""

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

CASES: list[Case] = [*_QUEUES, *_STATISTICS]
