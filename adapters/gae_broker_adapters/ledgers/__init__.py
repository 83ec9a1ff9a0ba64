"""Ledgers, found by URL scheme."""
