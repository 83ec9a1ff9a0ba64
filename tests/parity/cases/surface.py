"""Section 1 of gae-semantics: names, exceptions, constants, signatures, RPC objects."""

from tests.parity.case import Case, table

_EXCEPTIONS = """
Error UnknownQueueError TransientError InternalError PermissionDeniedError BadTransactionStateError
InvalidTaskRetryOptionsError InvalidMaxTasksError InvalidQueueModeError QueuePausedError InvalidDispatchDeadlineError
BadTaskStateError DuplicateTaskNameError TooManyTasksError DatastoreError InvalidLeaseTimeError InvalidDeadlineError
TaskLeaseExpiredError InvalidTagError InvalidQueueError InvalidQueueNameError InvalidTaskError InvalidTaskNameError
TombstonedTaskError InvalidEtaError TaskTooLargeError TransactionalRequestTooLargeError TaskAlreadyExistsError
InvalidUrlError BadTransactionState
""".split()

_CONSTANTS = """
MAX_QUEUE_NAME_LENGTH MAX_TASK_NAME_LENGTH MAX_PULL_TASK_SIZE_BYTES MAX_PUSH_TASK_SIZE_BYTES MAX_TASK_SIZE_BYTES
MAX_TASKS_PER_ADD MAX_TRANSACTIONAL_REQUEST_SIZE_BYTES MAX_URL_LENGTH MAX_TASKS_PER_LEASE MAX_TAG_LENGTH
MAX_LEASE_SECONDS _DEFAULT_QUEUE _DEFAULT_QUEUE_PATH _MAX_COUNTDOWN_SECONDS _TASK_NAME_PATTERN _QUEUE_NAME_PATTERN
""".split()

# Those that take anything and check it themselves (add, Task, TaskRetryOptions, defer) are tested by what they take.
_CALLABLES = """
create_rpc Queue Queue.add Queue.add_async Queue.purge Queue.delete_tasks
Queue.delete_tasks_async Queue.delete_tasks_by_name Queue.delete_tasks_by_name_async Queue.lease_tasks
Queue.lease_tasks_async Queue.lease_tasks_by_tag Queue.lease_tasks_by_tag_async Queue.modify_task_lease
Queue.fetch_statistics Queue.fetch_statistics_async QueueStatistics QueueStatistics.fetch QueueStatistics.fetch_async
Task.add Task.add_async Task.extract_params
deferred.serialize deferred.run deferred.invoke_member deferred.set_log_level deferred.Handler
deferred.Handler.post deferred.Handler.run_from_request deferred.application deferred.run_from_datastore
""".split()

CASES = [
    *(Case(f"{name} and its ancestry", f"taskqueue.{name}\ntaskqueue.taskqueue.{name}") for name in _EXCEPTIONS),
    *(Case(f"{name}", f"taskqueue.taskqueue.{name}") for name in _CONSTANTS),
    *(Case(f"the signature of {name}", f"parameters({name})") for name in _CALLABLES),
    *table("""
# what a star import of the package gives
sorted(taskqueue.__all__)

# what the submodule names public
sorted(taskqueue.taskqueue.__all__)

# deadlines of dispatch are timedeltas
str(MAX_DISPATCH_DEADLINE), str(MIN_DISPATCH_DEADLINE)

# the default version is one object with a readable form
repr(DEFAULT_APP_VERSION)
DEFAULT_APP_VERSION is taskqueue.DEFAULT_APP_VERSION

# BadTransactionState is the same class as BadTransactionStateError
BadTransactionState is BadTransactionStateError

# names that the package leaves out of __all__ are attributes all the same
taskqueue.InvalidTaskRetryOptionsError, taskqueue.MAX_TAG_LENGTH, taskqueue.MAX_TRANSACTIONAL_REQUEST_SIZE_BYTES
taskqueue.MAX_DISPATCH_DEADLINE == MAX_DISPATCH_DEADLINE, taskqueue.MIN_DISPATCH_DEADLINE == MIN_DISPATCH_DEADLINE

# the package has its submodule as an attribute
taskqueue.taskqueue.Task is taskqueue.Task
deferred.deferred.defer is deferred.defer

# deferred's errors
deferred.Error, deferred.PermanentTaskFailure, deferred.SingularTaskFailure    #! deferred-error
issubclass(deferred.PermanentTaskFailure, deferred.Error), issubclass(deferred.SingularTaskFailure, deferred.Error)
deferred.deferred._DEFAULT_URL, deferred.deferred._DEFAULT_QUEUE

# the UTC time zone of etas
type(taskqueue.taskqueue._UTC).__name__
taskqueue.taskqueue._UTC.utcoffset(None).total_seconds(), taskqueue.taskqueue._UTC.tzname(None)
"""),
    *table("""
# create_rpc checks its deadline
create_rpc()
create_rpc(5)
create_rpc(0.5)
create_rpc(0)
create_rpc(-1)
create_rpc('5')
create_rpc([])
create_rpc(True)
create_rpc(False)
create_rpc(deadline=None, callback=None)

# what an RPC says of itself
rpc = create_rpc(7)
rpc.service, rpc.deadline, rpc.state
rpc.callback
rpc.method
Task(url='/a').add_async(rpc=rpc) is rpc
rpc.method
rpc.wait()
rpc.state
rpc.get_result().was_enqueued

# a result may be asked for repeatedly
rpc = Task(url='/a', name='n').add_async()
first = rpc.get_result()
rpc.get_result() is first
len(stored())

# an error comes with the result, each time, and not with wait
rpc = Queue('nowhere').add_async(Task(url='/a'))
rpc.wait()
rpc.check_success()
rpc.get_result()
rpc.get_result()

# an error of the call itself comes with check_success too
rpc = Queue('push').lease_tasks_async(10, 10)
rpc.wait()
rpc.check_success()    #! check-success
rpc.get_result()

# a per-task error does not come with check_success
add(url='/a', name='n')
rpc = Queue().add_async(Task(url='/a', name='n'))
rpc.check_success()
rpc.get_result()

# arguments are checked at once, not with the result
Queue('pull').lease_tasks_async(-1, 10)
Queue('pull').lease_tasks_async(1, 0)
Queue().add_async([Task(url='/a', name='x'), Task(url='/a', name='x')])
Queue().delete_tasks_async(Task(url='/a'))
Queue('pull').lease_tasks_by_tag_async(1, 'x')
Queue.delete_tasks_by_name_async(Queue(), 'bad name')

# waiting before there is a call
rpc = create_rpc()
rpc.wait()
rpc.get_result()
rpc.check_success()

# an RPC serves one call only
rpc = create_rpc()
Task(url='/a').add_async(rpc=rpc) is rpc
Task(url='/b').add_async(rpc=rpc)
rpc.get_result().url
len(stored())

# a callback runs once, without arguments
calls = []
rpc = create_rpc(callback=lambda: calls.append(1))
Task(url='/a').add_async(rpc=rpc) is rpc
rpc.wait()
rpc.wait()
rpc.get_result().was_enqueued
calls

# wait_any answers with one of the RPCs, wait_all waits for all
one, two = Task(url='/a').add_async(), Task(url='/b').add_async()
type(one).wait_all([one, two])
[one.get_result().url, two.get_result().url]
type(one).wait_any([one, two]) in (one, two)
type(one).wait_any([])
type(one).wait_all([])

# each method has its async form
q = Queue('pull')
q.add_async(Task('a', method='PULL', name='one')).get_result().name
leased = q.lease_tasks_async(60, 10).get_result()
q.lease_tasks_by_tag_async(60, 10, tag='x').get_result()
q.fetch_statistics_async().get_result()
q.delete_tasks_async(leased).get_result()
q.delete_tasks_by_name_async('other').get_result()
QueueStatistics.fetch_async('pull').get_result()
QueueStatistics.fetch_async(['pull', 'push']).get_result()

# a synchronous deadline is checked
Queue('pull').lease_tasks(1, 1, deadline=0)
Queue('pull').lease_tasks(1, 1, deadline=-1)
Queue('pull').lease_tasks(1, 1, deadline=None)
Queue('pull').lease_tasks(1, 1, deadline='x')
Queue('pull').lease_tasks(1, 1, deadline=0.5)
Queue('pull').lease_tasks_by_tag(1, 1, deadline=0)
Queue('pull').lease_tasks_by_tag(1, 1, deadline=None)
Queue('pull').fetch_statistics(deadline=0)
Queue('pull').fetch_statistics(deadline=None)
QueueStatistics.fetch('pull', deadline=0)
QueueStatistics.fetch([], deadline=0)
QueueStatistics.fetch('pull', deadline=None)
"""),
]
