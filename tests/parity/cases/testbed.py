"""Section 8 of gae-semantics: what test suites ask of the stub."""

from tests.parity.case import Case, table

CASES: list[Case] = table("""
# tasks as dicts
add('x', url='/a', name='n1', countdown=60, headers={'X-A': '1'})
add(url='/a', name='n2', params={'a': 1})
add(url='/g', name='n3', method='GET', params={'a': 1}, dispatch_deadline_usec=15000000)
add(b'', url='/e', name='n4')
listed('default')
Queue('pull').add(Task('x', method='PULL', tag='t', name='n'))
listed('pull')    #! stub-pull-listing
listed('push')
listed('nowhere')
listed('')

# tasks as dicts after failures and leases
add(url='/a', name='n').name
[r['url'] for r in run(500)]
listed('default')
Queue('pull').add(Task('x', method='PULL', name='n')).name
advance(1)
Queue('pull').lease_tasks(60, 1)
listed('pull')    #! stub-pull-listing

# filtering
add('x', url='/a', name='n1')
add('y', url='/b', name='n2')
add('z', url='/a', name='n3', queue_name='push', countdown=1.5)
Queue('pull').add(Task('p', method='PULL', tag='t', name='n4')).name
filtered()    #! stub-pull-listing
[t.name for t in filtered(url='/a')]
[t.name for t in filtered(name='n2')]
[t.name for t in filtered(url='/a', name='n3')]
[t.name for t in filtered(url='/a', name='n2')]
[t.name for t in filtered(queue_names='push')]
[t.name for t in filtered(queue_names=['push', 'pull'])]
[t.name for t in filtered(queue_names=['nowhere', 'push'])]
[t.name for t in filtered(queue_names='nowhere')]
[t.name for t in filtered(queue_names=[])]
[t.name for t in filtered(url='/never')]
[t.name for t in filtered('/a', 'n1', ['default'])]
filtered(queue_names='push')[0].eta
filtered(name='n4')[0].extract_params()
type(filtered()).__name__
filtered(queue_names='default')

# removing leaves no trace
add(url='/a', name='n').name
remove('default', 'n')
stored()
add(url='/a', name='n').name
flush('default')
stored()
add(url='/a', name='n').name
remove('default', 'never')
remove('nowhere', 'n')
flush('nowhere')

# queues as dicts
[(q['name'], q['max_rate'], q['bucket_size'], q['mode'], q['tasks_in_queue'], q['oldest_task']) for q in queues()]
add(url='/a', countdown=-10).name
add(url='/b', countdown=60, queue_name='push').name
[(q['name'], q['tasks_in_queue'], q['oldest_task']) for q in queues() if q['tasks_in_queue']]
[q.get('retry_parameters') for q in queues() if q['name'].startswith('push-')]
sorted(queues()[0])

# a queue that was never heard of
add(url='/a', queue_name='nowhere')
[q['name'] for q in queues()]
""")
CASES += table(
    """
# without a queue.yaml there is the default queue
add(url='/a').name
add(url='/a', queue_name='push')
[q['name'] for q in queues()]
[(q['max_rate'], q['bucket_size'], q['mode']) for q in queues()]
""",
    queue_yaml="",
)
CASES += table(
    """
# the default queue may be configured
[(q['max_rate'], q['bucket_size'], q['mode']) for q in queues()]
add(url='/a').name
""",
    queue_yaml="queue:\n- name: default\n  rate: 1/m\n  bucket_size: 40\n",
)
CASES += table(
    """
# the default queue may be a pull queue
add(url='/a')
add('x', method='PULL').queue_name
advance(1)
[t.payload for t in Queue().lease_tasks(60, 1)]
""",
    queue_yaml="queue:\n- name: default\n  mode: pull\n",
)
