"""Broker URLs: hosts, credentials, options; and that no error shows a password."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gae_broker.errors import SettingsError
from gae_broker_adapters.brokers.rabbitmq.wire import location

_UNTIMED = settings(deadline=None)


@pytest.mark.parametrize(
    ("url", "hosts", "virtual_host"),
    [
        ("amqp://", [("localhost", 5672)], "/"),
        ("amqp:///orders", [("localhost", 5672)], "orders"),
        ("amqp://broker", [("broker", 5672)], "/"),
        ("amqp://broker:5673/", [("broker", 5673)], "/"),
        ("amqps://broker/%2F", [("broker", 5671)], "/"),
        ("amqp://a,b:5673,c/a%2Fb", [("a", 5672), ("b", 5673), ("c", 5672)], "a/b"),
        ("amqp://[::1]/v", [("::1", 5672)], "v"),
        (
            "amqp://u:p@[2001:db8::1]:5673,[::2],c:1/v?heartbeat=10",
            [("2001:db8::1", 5673), ("::2", 5672), ("c", 1)],
            "v",
        ),
    ],
)
def test_hosts_and_virtual_host(url, hosts, virtual_host):
    found = location.parse(url)
    assert list(found.hosts) == hosts
    assert found.virtual_host == virtual_host
    assert [(one.host, one.port, one.virtual_host) for one in found.parameters] == [(*h, virtual_host) for h in hosts]


@pytest.mark.parametrize(
    ("url", "user", "password"),
    [
        ("amqp://h", "guest", "guest"),
        ("amqp://me:secret@h", "me", "secret"),
        ("amqp://me@h", "me", ""),
        ("amqp://me:@h", "me", ""),
        ("amqp://m%40e:s%2Fe%3Ac%23r%3Fe%25t@h", "m@e", "s/e:c#r?e%t"),
        ("amqp://me:a:b@h", "me", "a:b"),
    ],
)
def test_credentials_are_percent_decoded(url, user, password):
    credentials = location.parse(url).parameters[0].credentials
    assert (credentials.username, credentials.password) == (user, password)


def test_options():
    (one,) = location.parse("amqp://h?heartbeat=20&connection_timeout=1.5").parameters
    assert (one.heartbeat, one.socket_timeout, one.stack_timeout) == (20, 1.5, 3.0)


def test_one_host_of_several_may_take_less_time_to_answer():
    assert {one.socket_timeout for one in location.parse("amqp://a,b").parameters} == {3.0}
    assert {one.socket_timeout for one in location.parse("amqp://a").parameters} == {5.0}


def test_each_host_of_a_tls_url_is_verified_by_its_own_name():
    parameters = location.parse("amqps://a,b").parameters
    assert [one.ssl_options.server_hostname for one in parameters] == ["a", "b"]
    assert {one.ssl_options.context.check_hostname for one in parameters} == {True}
    (named,) = location.parse("amqps://127.0.0.1?server_name=broker.example").parameters
    assert named.ssl_options.server_hostname == "broker.example"


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("amq://h", "unknown scheme, known are amqp, amqps"),
        ("amqp://u:hunter2@h?colour=red", r"unknown option 'colour', known are cafile, .*server_name"),
        ("amqp://u:hunter2@h?heartbeat=soon", "option heartbeat must be a number of seconds above 0, not 'soon'"),
        ("amqp://u:hunter2@h?heartbeat=0", "option heartbeat must be a number of seconds above 0, not '0'"),
        ("amqp://u:hunter2@h?connection_timeout=nan", "option connection_timeout must be"),
        ("amqp://u:hunter2@a,b:x", "port of host 2 of the list is no number from 1 to 65535"),
        ("amqp://u:hunter2@a:0", "port of host 1"),
        ("amqp://u:hunter2@a,:5672", "host 2 of the list has no name"),
        ("amqp://u:hunter2/x@h", "must be percent-encoded"),
        ("amqp://u:hunter2?x@h", "must be percent-encoded"),
        ("amqp://u:hunter2#x@h", "must be percent-encoded"),
        ("amqp://u:hunter2/x", "port of host 1"),
        ("amqps://u:hunter2@h?cafile=/gone.pem", r"cafile=/gone.pem: cannot be used: .*No such file"),
    ],
)
def test_what_is_wrong_is_told_without_the_password(url, error):
    with pytest.raises(SettingsError, match=error) as raised:
        location.parse(url)
    assert "hunter2" not in str(raised.value)


@_UNTIMED
@given(st.text(max_size=20))
def test_any_text_is_a_location_or_a_settings_error(text):
    shown = ""
    try:
        shown = str(location.parse(f"amqp://user:hunter2@{text}"))
    except SettingsError as exc:
        shown = str(exc)
    assert "hunter2" not in shown


def test_neither_repr_nor_str_shows_who_connects():
    found = location.parse("amqp://someone:hunter2@a,[::1]:5673/orders")
    assert str(found) == "a:5672,[::1]:5673/orders"
    assert repr(found) == "Location(a:5672,[::1]:5673/orders)"
    assert str(location.parse("amqp://h/%2F")) == "h:5672/"


def test_a_tour_visits_each_host_once_wherever_it_begins():
    found = location.parse("amqp://a,b,c")
    for start in range(5):
        hosts = [parameters.host for _, parameters in found.tour(start, "publisher")]
        assert sorted(hosts) == ["a", "b", "c"]
        assert hosts[0] == "abc"[start % 3]


def test_a_connection_tells_its_purpose_and_process():
    ((where, parameters),) = location.parse("amqp://[::1]").tour(0, "publisher")
    assert where == "[::1]:5672"
    assert parameters.client_properties["connection_name"].startswith("publisher, process ")
    assert parameters.client_properties["product"] == "gae-broker"
