"""Receiving: push queues are consumed by their owner, pull queues are read in batches, and what is undone goes back."""
