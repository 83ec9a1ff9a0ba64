"""Brokers, found by URL scheme."""
