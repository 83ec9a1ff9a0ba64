"""Real servers for tests: RabbitMQ of several versions, alone and in a cluster, and PostgreSQL.

`fixtures` is the pytest plugin (tests/conftest.py loads it); `rabbitmq` and `cluster` are for tests that break what
they use. What a test session starts, it ends, also when it is killed: see `session`.
"""

VERSIONS = ("3.10", "4.0", "4.3")
"""The series of RabbitMQ that the project is tested on; the newest is last."""
