"""Contract suites: the numbered obligations of `gae_broker.ports`, as tests that every adapter passes."""
