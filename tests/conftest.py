"""The whole suite has the fixtures that users have."""

pytest_plugins = ["gae_broker.testing.plugin"]
