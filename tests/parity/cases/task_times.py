"""Sections 2.1 (11 to 13) of gae-semantics: etas, countdowns and sizes."""

from tests.parity.case import Case, table

_UTC = table("""
# times
Task(countdown=10).eta
Task(countdown=0).eta
Task(countdown=-10).eta
Task(countdown='10').eta
Task(countdown=' 1e1 ').eta
Task(countdown=1.5).eta_posix
Task(countdown=True).eta_posix
Task(countdown='x')
Task(countdown='')
Task(countdown=[])
Task(countdown=10 ** 400)
Task(countdown=None).eta
Task(countdown=at(0))
Task(eta=at(10)).eta
Task(eta=at(-10)).eta
Task(eta=None).eta
Task(eta=1700000000)
Task(eta='2023-11-14')
Task(eta=datetime.date(2023, 11, 14))
Task(eta=datetime.timedelta(1))
Task(eta=at(10), countdown=10)
Task(eta=at(10), countdown=0)
Task(eta=at(10), countdown=None).eta
Task(eta=datetime.datetime(2023, 11, 14, 22, 14)).eta
Task(eta=datetime.datetime(2023, 11, 14, 22, 14, 0, 250000)).eta_posix
Task(eta=datetime.datetime(2023, 11, 15, 0, 14, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))).eta
Task(eta=datetime.datetime(1969, 1, 1, tzinfo=datetime.timezone.utc)).eta

# thirty days ahead and no more
Task(countdown=30 * 86400).eta
Task(countdown=30 * 86400 + 1)
Task(eta=at(30 * 86400)).eta
Task(eta=at(30 * 86400 + 1))
Task(countdown=float('inf'))
Task(countdown='inf')
Task(countdown=float('-inf')).name
add(url='/a', countdown=float('nan'))    #! impossible-times
add(url='/a', countdown=float('-inf'))    #! impossible-times
add(url='/a', countdown=-1e300)    #! impossible-times
Task(countdown=-1e300).name

# sizes
Task().size
Task('x').size
Task(b'x' * 1000).size
Task('ü' * 1000).size
Task(params={'a': 'ü'}).size
Task(url='/a?b=c', method='GET').size
Task(url='/ü').size
Task(headers={'A': '1', 'B': '22'}).size
Task(headers={'A': ['1', '22']}).size
Task(b'x', method='PULL').size
Task(b'x' * 102400)
Task(b'x' * 102400, _size_check=False).size
Task(b'x' * 102300).size
Task(b'x' * 102332).size
Task(b'x' * 102333)
Task(b'x' * 1048576, method='PULL')
Task(b'x' * 1048512, method='PULL').size
Task(b'x' * 1048513, method='PULL')
Task(b'x' * 2000000, method='PULL', _size_check=False).size
Task(params={'a': 'x' * 102400})
Task(headers={'A': 'x' * 102400})
Task(method='GET', url='/a', params={'a': 'x' * 102400})
Task(b'x' * 200000, _size_check=0).size
Task(b'x' * 200000, _size_check=None).size
""")

_ELSEWHERE = table(
    """
# a naive eta is local time of the process, an aware one is not
Task(eta=datetime.datetime(2023, 11, 14, 22, 14)).eta
Task(eta=datetime.datetime(2023, 7, 14, 22, 14)).eta
Task(eta=at(10)).eta
Task(eta=datetime.datetime(2023, 11, 5, 1, 30)).eta
Task(eta=datetime.datetime(2023, 11, 14, 23, 30, tzinfo=datetime.timezone.utc)).eta
""",
    environment={"TZ": "America/New_York"},
)

CASES: list[Case] = [*_UTC, *_ELSEWHERE]
