"""First-party adapters of gae-broker: brokers, ledgers, frameworks."""
