"""Section 2 of gae-semantics: what a Task takes, refuses and shows."""

from tests.parity.case import Case, table

CASES: list[Case] = table("""
# unknown arguments
Task(foo=1)
Task(foo=1, bar=2)
Task(foo=1, name='bad name')
Task(Payload='x')
Task('x', 'y')
Task(transactional=True)

# names that are none
Task(name='')
Task(name=None)
Task(name=0)    #! wrong-types

# names that are fine
Task(name='a')
Task(name='-_9Z')
Task(name='x' * 500).name == 'x' * 500

# names that are not
Task(name='x' * 501)
Task(name='with space')
Task(name='with.dot')
Task(name='with/slash')
Task(name='ümlaut')
Task(name='a\\n')    #! trailing-newline
Task(name='a\\nb')
Task(name='\\n')

# names that are no text
Task(name=5)
Task(name=b'bytes')    #! bytes-names
Task(name=['a'])
Task(name=1.5)

# urls that are the queue's own
Task(url='')
Task(url=None)    #! url-none
Task()

# urls that are fine
Task(url='/')
Task(url='/a/b')
Task(url='/a', method='GET')
Task(url='/a?x=1', method='GET')
Task(url='/a?x=1', method='GET', params={})
Task(url='/a?')
Task(url='/ä')
Task(url='/a b')
Task(url='/a%20b')
Task(url='/a;p=1')
Task(url='/a//b')
Task(url='/a', method='PUT')

# urls that are not
Task(url='a')
Task(url='a/b')
Task(url='?a=1')
Task(url='#a')
Task(url='/a#b')
Task(url='/a#')
Task(url='http://host/a')
Task(url='http:/a')
Task(url='//host/a')
Task(url='//')
Task(url='mailto:x')
Task(url=' /a')
Task(url='.')
Task(url='../a')

# urls of other types
Task(url=5)    #! wrong-types
Task(url=['/a'])    #! wrong-types
Task(url=b'/a')

# the length of a url is that of its path
Task(url='/' + 'x' * 2082).url == '/' + 'x' * 2082
Task(url='/' + 'x' * 2083)
Task(url='/a?' + 'x' * 3000, method='GET').size
Task(url='/' + 'x' * 2082 + '?y=1', method='GET').size

# headers
Task(headers={'A': '1', 'b': '2'})
Task(headers={'A': '1', 'a': '2'})
Task(headers={'a': '1', 'A': '2', 'B': '3'})
Task(headers=None)
Task(headers={})
Task(headers=[('A', '1')])
Task(headers='x')
Task(headers=5)
Task(headers={'A': 1})
Task(headers={'A': None})
Task(headers={'A': ['1', '2']})
Task(headers={'A': ('1', '2')})
Task(headers={'A': b'bytes'})
Task(headers={'A': 'ümlaut'})
Task(headers={'content-type': 'x/y'}, payload='text')
Task(headers={'CONTENT-TYPE': 'x/y'}, params={'a': 1})
Task(headers={'Content-Length': '1'}, payload='text')
Task(headers={'X-AppEngine-TaskName': 'mine'})

# headers that no request can carry
Task(headers={'A': 'x\\r\\ny: z'})    #! unsendable-headers
add(url='/a', headers={'A': 'x\\r\\ny: z'})    #! unsendable-headers
add(url='/a', headers={'A b': 'x'})    #! unsendable-headers
add(url='/a', headers={'': 'x'})    #! unsendable-headers
add(url='/a', headers={'A': 'x\\0'})    #! unsendable-headers
add(url='/a', headers={'Ü': 'x'})    #! unsendable-headers

# text that no encoding has
add(url='/\\ud800')    #! lone-surrogates
add('\\ud800', url='/a')    #! lone-surrogates
add(url='/a', headers={'A': '\\ud800'})    #! lone-surrogates
add(url='/a', params={'a': '\\ud800'})    #! lone-surrogates
Task('x', method='PULL', tag='\\ud800').add('pull')    #! lone-surrogates

# urls that are odd
add(url='/a\\n').url
add(url='/a\\x00').url
add(url='/[').url
add(url='/a?x=1#', method='GET').url
add(url='//[')    #! wrong-types

# the caller's dict is not touched, and the property is a copy
given = {'A': '1'}
t = Task(headers=given, params={'x': 1})
given
t.headers.update({'Z': '9'})
t.headers
type(t.headers).__name__
'content-type' in t.headers, 'Content-Type' in t.headers

# methods
Task(method='get')
Task(method='Post')
Task(method='put')
Task(method='HEAD')
Task(method='delete')
Task(method='pull', payload='x')
Task(method='PATCH')
Task(method='OPTIONS')
Task(method='')
Task(method='x y')
Task(method=None)
Task(method=5)
Task(method=b'GET')

# a query in the url together with params
Task(url='/a?x=1', params={'y': 2})
Task(url='/a?x=1', params={'y': 2}, method='GET')
Task(url='/a?x=1', params={'y': 2}, method='PUT')
Task(url='/a?', params={'y': 2}, method='GET')
Task(url='/a?', params={'y': 2})

# a tag is for pull tasks
Task(tag='t')
Task(tag='')
Task(tag=None)
Task(tag='t', method='GET')
Task('x', tag='t', method='PULL')
Task('x', tag='', method='PULL')
Task('x', tag='ü', method='PULL')
Task('x', tag=5, method='PULL')    #! wrong-types
Task('x', tag=b'bytes', method='PULL')
Task('x', tag='t' * 500, method='PULL').size
Task('x', tag='t' * 501, method='PULL')
Task('x', tag='ü' * 500, method='PULL').size
Task('x', tag='t' * 501, method='PULL', _size_check=False).size

# pull tasks
Task('x', method='PULL')
Task(b'x', method='PULL')
Task('', method='PULL')
Task(b'', method='PULL')
Task(method='PULL')
Task(None, method='PULL')
Task(method='PULL', params={'a': 1})
Task(method='PULL', params={})
Task('x', method='PULL', params={'a': 1})
Task('', method='PULL', params={'a': 1})
Task('x', method='PULL', url='/a')
Task('x', method='PULL', url='')
Task('x', method='PULL', headers={'A': '1'})
Task('x', method='PULL', headers={})
Task('x', method='PULL', headers=None)
Task('x', method='PULL', target='v1')
Task('x', method='PULL', target='')
Task('x', method='PULL', target=None)
Task('x', method='PULL', retry_options=TaskRetryOptions(task_retry_limit=1))
Task('x', method='PULL', url='/a', headers={'A': '1'}, target='v1')
Task(5, method='PULL')
Task([1], method='PULL')

# POST
Task('x')
Task(b'x')
Task('ü')
Task('x', params={'a': 1})
Task('', params={'a': 1})
Task(b'', params={'a': 1})
Task(params={'a': 1})
Task(params={})
Task(params=None)
Task(url='/a?x=1')
Task('x', url='/a?x=1')
Task('')
Task(b'')

# GET, HEAD and DELETE
Task('x', method='GET')
Task('', method='GET')
Task(b'', method='HEAD')
Task(method='GET', params={'a': 1})
Task(method='GET', url='/a', params={'a': [1, 2]})
Task(method='DELETE', url='/a', params={'a': 'x y'})
Task(b'x', method='DELETE')
Task(b'x', method='HEAD')

# PUT
Task('x', method='PUT')
Task('x', method='PUT', params={'a': 1})
Task('x', method='PUT', url='/a?b=1')
Task(method='PUT', params={'a': 1})
Task(b'x', method='PUT', url='/p', params={'a': 1}).url

# payloads of other types
Task(5)
Task([1])
Task({'a': 1})
Task(bytearray(b'x'))
Task(object())
Task(1.5)
Task(0)
Task([])
Task(False)
Task(0, url='/a').add()

# payload and content type
Task('x').headers
Task(b'x').headers
Task('x', headers={'Content-Type': 'a/b'}).headers
Task('x', method='PULL').headers
Task('x', method='PUT').headers

# params of every kind
Task(params={'a': 1, 'b': 'x', 'c': b'y'}).payload
Task(params={'a': None, 'b': True, 'c': 1.5}).payload
Task(params={'a': [1, 2], 'b': (3, 4)}).payload
Task(params={'a': []}).payload
Task(params={'a': {'k': 'v'}}).payload
Task(params={1: 2, b'b': 3}).payload
Task(params={'a': 'x y&z=ü'}).payload
Task(params={'ü': 'ä'}).payload
Task(params={'a': [[1, 2]]}).payload
Task(params={'a': ''}).payload
Task(params={'a': [None, 'x']}).payload
Task(params={'a': iter([1, 2])}).payload
Task(params=[('a', 1)])
Task(params='a=1')
Task(params=5)
Task(params=(('a', 1),))

# the payload of POST with params is text, all others are bytes
type(Task(params={'a': 1}).payload).__name__
type(Task('a').payload).__name__
type(Task(params={'a': 1}, method='PULL').payload).__name__

# extract_params
Task(params={'a': 1}).extract_params()
Task(params={'a': [1, 2], 'b': ''}).extract_params()
Task('a=1&b=2').extract_params()
Task(b'a=1&a=2').extract_params()
Task(url='/x?a=1&b=2', method='GET').extract_params()
Task(method='GET', params={'a': 'ü'}).extract_params()
Task('a=1', method='PULL').extract_params()
Task('', method='PULL').extract_params()
Task().extract_params()
Task(url='/x').extract_params()
Task('nonsense').extract_params()
Task(b'nonsense').extract_params()
Task(b'\\xff\\xfe').extract_params()
Task('a=%FF').extract_params()
Task('a').extract_params()
Task('a=').extract_params()
Task('a=1&&b=2').extract_params()
Task('a=1;b=2').extract_params()
Task('x', method='PUT', params={'a': 1}).extract_params()
Task('x', method='PUT').extract_params()

# a dispatch deadline
Task(dispatch_deadline_usec=15000000).dispatch_deadline_usec
Task(dispatch_deadline_usec=86400000000).dispatch_deadline_usec
Task(dispatch_deadline_usec=14999999)
Task(dispatch_deadline_usec=86400000001)
Task(dispatch_deadline_usec=0)
Task(dispatch_deadline_usec=-1)
Task(dispatch_deadline_usec='15000000')
Task(dispatch_deadline_usec=15000000.0)
Task(dispatch_deadline_usec=None).dispatch_deadline_usec
Task('x', method='PULL', dispatch_deadline_usec=15000000).dispatch_deadline_usec

# retry options are stored as they are
Task(retry_options=TaskRetryOptions(task_retry_limit=3, max_doublings=0))
Task(retry_options=None).retry_options
Task(retry_options=5).retry_options
Task(retry_options={'task_retry_limit': 1}).retry_options

# a task before and after it was added
t = Task(url='/a')
t.name, t.queue_name, t.was_enqueued, t.was_deleted, t.retry_count
t.add('push') is t
t

# properties cannot be set
attempt(lambda: setattr(Task(), 'name', 'x'))
attempt(lambda: setattr(Task(), 'url', 'x'))
attempt(lambda: setattr(Task(), 'payload', 'x'))
attempt(lambda: setattr(Task(), 'eta', 'x'))
attempt(lambda: setattr(Task(), 'headers', {}))
attempt(lambda: setattr(Task(), 'queue_name', 'x'))
attempt(lambda: setattr(Task(), 'retry_count', 5))
attempt(lambda: setattr(Task(), 'was_deleted', True))
attempt(lambda: setattr(Task(), 'was_enqueued', True))
attempt(lambda: setattr(Task(), 'tag', 'x'))
attempt(lambda: setattr(Task(), 'target', 'x'))
attempt(lambda: setattr(Task(), 'size', 1))

# tasks compare by identity, can be keys and are true
Task(name='a') == Task(name='a')
len({Task(name='a'), Task(name='a')})
bool(Task())
attempt(lambda: len(Task()))

# repr of push tasks
repr(Task(name='n', url='/a', eta=datetime.datetime(2023, 11, 14, 22, 14)))
repr(Task('x', name='n', url='/a', method='PUT', params={'a': 1}, target='v', eta=datetime.datetime(2023, 11, 14)))
repr(Task(name='n', url='/a', params={'b': 1}, headers={'H': 'v'}, eta=datetime.datetime(2023, 11, 14)))
repr(Task(name='n', dispatch_deadline_usec=15000000, eta=datetime.datetime(2023, 11, 14)))

# repr of pull tasks
repr(Task('x', name='n', method='PULL', tag='t', eta=datetime.datetime(2023, 11, 14)))
repr(Task('x', name='n', method='PULL', eta=datetime.datetime(2023, 11, 14)))

# which error comes first
Task(foo=1, url='bad')
Task(name='bad name', url='bad')
Task(url='bad', method='BAD')
Task(url='/a?x=1', params={'a': 1}, tag='t')
Task(tag='t', method='BAD')
Task('x', params={'a': 1}, eta=at(1), countdown=1)
Task(target='v', headers={'Host': 'h'}, eta=at(1), countdown=1)
Task(eta=at(1), countdown=1, payload=b'x' * 200000)
Task(countdown=99999999, payload=b'x' * 200000)
Task(b'x' * 200000, dispatch_deadline_usec=1)
Task('x' * 2000000, method='PULL', tag='t' * 501)
Task('x', method='PULL', tag='t' * 501, dispatch_deadline_usec=1)
Task(method='BAD', target='v', headers={'Host': 'h'})
Task(payload=5, target='v', headers={'Host': 'h'})
""")
