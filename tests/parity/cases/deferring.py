"""Section 4 of gae-semantics: deferred calls, their pickles and their handler."""

from tests.parity.case import Case, table

_PICKLING = table("""
# what can be deferred, and what comes of it
deferred.run(deferred.serialize(functions.note, 1, x=2))
deferred.run(deferred.serialize(functions.note))
deferred.run(deferred.serialize(functions.counter.add, 2))
deferred.run(deferred.serialize(functions.Counter(5).add, 2))
deferred.run(deferred.serialize(functions.Counter.make, 7))
deferred.run(deferred.serialize(functions.Counter(1).make, 7))
deferred.run(deferred.serialize(functions.Counter.double, 7))
deferred.run(deferred.serialize(functions.Counter(1).double, 7))
deferred.run(deferred.serialize(functions.Counter(6), 7))
deferred.run(deferred.serialize(functions.Counter, 9)).value
deferred.run(deferred.serialize(len, [1, 2]))
deferred.run(deferred.serialize(int, '5'))
deferred.run(deferred.serialize(str.upper, 'x'))
deferred.run(deferred.serialize('text'.upper))
deferred.run(deferred.serialize(''.upper))
deferred.run(deferred.serialize([3, 1].index, 1))
deferred.run(deferred.serialize([].count, 1))
deferred.run(deferred.serialize({'a': 1}.get, 'a'))
deferred.run(deferred.serialize(datetime.datetime.fromisoformat, '2023-11-14T00:00:00+00:00')).year
deferred.run(deferred.serialize(functions.note, _x=1, _countdown=5))

# the form of a pickle
type(deferred.serialize(functions.note)).__name__
[type(part).__name__ for part in __import__('pickle').loads(deferred.serialize(functions.note, 1, x=2))]
__import__('pickle').loads(deferred.serialize(functions.note, 1, x=2))[1:]
__import__('pickle').loads(deferred.serialize(functions.counter.add, 2))[1][1:]
__import__('pickle').loads(deferred.serialize(functions.Counter.make, 2))[1][1:]
__import__('pickle').loads(deferred.serialize('x'.upper))[1]
__import__('pickle').loads(deferred.serialize(len, 'x'))[1]
deferred.serialize(functions.note)[:2]

# what cannot
deferred.serialize(5)
deferred.serialize('text')
deferred.serialize(None)
deferred.serialize([])
deferred.serialize(functions.note, functions.lock)
deferred.serialize()

# what only cloudpickle can
deferred.run(deferred.serialize(lambda: 5))    #! closures
deferred.run(deferred.serialize((lambda x: lambda y: x + y)(1), 2))    #! closures

# pickles that cannot be run
deferred.run(b'')
deferred.run(b'garbage')
deferred.run(__import__('pickle').dumps(5))
deferred.run(__import__('pickle').dumps((1, 2)))
deferred.run(__import__('pickle').dumps((1, 2, 3, 4)))
deferred.run(b'cno_such_module\\nfunction\\n.')
deferred.run(b'cfunctions\\nno_such_function\\n.')
deferred.run('text')
deferred.run(None)

# the function's own errors are its own
deferred.run(deferred.serialize(functions.fail, 'x'))
deferred.run(deferred.serialize(functions.permanent))
deferred.run(deferred.serialize(functions.singular))
deferred.run(__import__('pickle').dumps((5, (), {})))

# pickles of Python 2, of protocols 0, 1 and 2
deferred.run(b'(cfunctions\\nnote\\n(I1\\nt(dS\"x\"\\nI2\\nst.')
deferred.run(__import__('pickle').dumps((functions.note, (1,), {'x': 2}), 0))
deferred.run(__import__('pickle').dumps((functions.note, (1,), {'x': 2}), 1))
deferred.run(__import__('pickle').dumps((functions.note, (1,), {'x': 2}), 2))

# invoke_member
deferred.invoke_member(functions.counter, 'add', 2)
deferred.invoke_member('x', 'upper')
deferred.invoke_member('x', 'nothing')

# data that was stored apart and is gone
deferred.run_from_datastore('no-such-key')    #! stored-keys
""")

_OLD_PROTOCOL = table(
    """
# a pickle for both Pythons
deferred.serialize(functions.note, 1)[:2]
deferred.run(deferred.serialize(functions.note, 1))
""",
    environment={"DEFERRED_USE_CROSS_COMPATIBLE_PICKLE_PROTOCOL": "1"},
)

_DEFER = table(
    """
# the task of a deferred call
t = deferred.defer(functions.note, 1, x=2)
t.url, t.method, t.headers, t.queue_name, t.was_enqueued, t.target, t.retry_options
deferred.run(t.payload)
[r['url'] for r in run()]

# its options
t = deferred.defer(functions.note, _countdown=60, _name='n', _queue='push', _url='/my/deferred', _headers={'X-A': '1'})
t.name, t.queue_name, t.url, t.headers, t.eta
deferred.run(t.payload)
deferred.defer(functions.note, _eta=at(30)).eta
deferred.defer(functions.note, _target='v2').target
deferred.defer(functions.note, _retry_options=TaskRetryOptions(task_retry_limit=3)).retry_options
deferred.defer(functions.note, _headers={'content-type': 'x/y'}).headers
deferred.defer(functions.note, _headers={'Content-Type': 'x/y'}).headers
deferred.defer(functions.note, _queue='nowhere')
deferred.defer(functions.note, _queue='pull')
deferred.defer(functions.note, _queue='bad_name')
deferred.defer(functions.note, _name='bad name')
deferred.defer(functions.note, _name='n', _queue='push')
deferred.defer(functions.note, _eta=at(1), _countdown=1)
deferred.defer(functions.note, _url='bad')
deferred.defer(functions.note, _url='')
deferred.defer(functions.note, _target='v2', _headers={'Host': 'x'})
deferred.defer(functions.note, _transactional=True)
deferred.defer(functions.note, _transactional=False).was_enqueued

# other underscored arguments are the function's
t = deferred.defer(functions.note, _x=1, _method='GET', _tag='t', _payload='p', _params={})
deferred.run(t.payload)
t.method

# what cannot be called is not deferred
deferred.defer(5)
deferred.defer('text')
deferred.defer()
len(stored())

# a large call is stored apart
(t := deferred.defer(functions.note, b'x' * 200000)).was_enqueued
t.was_enqueued, t.url, t.size < 1000
deferred.run(t.payload)
len(functions.CALLS[-1][0][0])
deferred.run(t.payload)
functions.CALLS.clear()

# a large call that fails can be tried again
(t := deferred.defer(functions.fail, 'x' * 200000)).was_enqueued
deferred.run(t.payload)
deferred.run(t.payload)

# a large call that fails for good is forgotten
(t := deferred.defer(functions.permanent, 'x' * 200000)).was_enqueued
deferred.run(t.payload)
deferred.run(t.payload)

# in a transaction
in_transaction(lambda: deferred.defer(functions.note, _transactional=True).was_enqueued, lambda: len(stored()))
in_transaction(lambda: deferred.defer(functions.note, _transactional=True).was_enqueued, rollback=True)
in_transaction(lambda: deferred.defer(functions.note, _transactional=True, _name='n'))
len(stored())

# a large call in a transaction
in_transaction(lambda: deferred.defer(functions.note, b'x' * 200000, _transactional=True).was_enqueued, rollback=True)
len(stored())    #! large-transactional
""",
    datastore=True,
)

_HANDLER = table("""
# a call over HTTP
body = deferred.serialize(functions.note, 1)
wsgi(deferred.application, body, HTTP_X_APPENGINE_TASKNAME='t')
wsgi(deferred.application, body, HTTP_X_APPENGINE_TASKNAME='t', HTTP_X_APPENGINE_QUEUENAME='default')
functions.CALLS.clear()

# without a task's name
body = deferred.serialize(functions.note, 1)
wsgi(deferred.application, body)
wsgi(deferred.application, body, HTTP_X_APPENGINE_QUEUENAME='default')
wsgi(deferred.application, body, HTTP_X_APPENGINE_TASKNAME='')
functions.CALLS.clear()

# in production, the address counts
body = deferred.serialize(functions.note, 1)
production = {'HTTP_X_APPENGINE_TASKNAME': 't', 'SERVER_SOFTWARE': 'Google App Engine/1.9'}
wsgi(deferred.application, body, **production)
wsgi(deferred.application, body, REMOTE_ADDR='10.0.0.1', **production)
wsgi(deferred.application, body, REMOTE_ADDR='0.1.0.2', **production)
wsgi(deferred.application, body, REMOTE_ADDR='10.0.0.1', HTTP_X_APPENGINE_TASKNAME='t')
functions.CALLS.clear()

# failures
wsgi(deferred.application, deferred.serialize(functions.fail, 'x'), HTTP_X_APPENGINE_TASKNAME='t')
wsgi(deferred.application, deferred.serialize(functions.permanent), HTTP_X_APPENGINE_TASKNAME='t')
wsgi(deferred.application, deferred.serialize(functions.singular), HTTP_X_APPENGINE_TASKNAME='t')
wsgi(deferred.application, b'garbage', HTTP_X_APPENGINE_TASKNAME='t')
wsgi(deferred.application, b'', HTTP_X_APPENGINE_TASKNAME='t')

# the length of the body
wsgi(deferred.application, deferred.serialize(functions.note, 1), HTTP_X_APPENGINE_TASKNAME='t', CONTENT_LENGTH='x')
wsgi(deferred.application, deferred.serialize(functions.note, 1), HTTP_X_APPENGINE_TASKNAME='t', CONTENT_LENGTH='5')

# post, as a framework calls it
environ = {'HTTP_X_APPENGINE_TASKNAME': 't', 'SERVER_SOFTWARE': 'Devel', 'wsgi.input': __import__('io').BytesIO(b'')}
deferred.Handler().post(environ)
deferred.Handler().post({'SERVER_SOFTWARE': 'Devel'})
deferred.Handler().run_from_request({})

# other methods
wsgi(deferred.application, b'', method='GET', HTTP_X_APPENGINE_TASKNAME='t')    #! deferred-get
wsgi(deferred.application, b'', method='PUT', HTTP_X_APPENGINE_TASKNAME='t')    #! deferred-get

# no SERVER_SOFTWARE
deferred.Handler().post({'HTTP_X_APPENGINE_TASKNAME': 't'})    #! server-software
""")

CASES: list[Case] = [*_PICKLING, *_OLD_PROTOCOL, *_DEFER, *_HANDLER]
