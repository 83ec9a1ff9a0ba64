"""Migrations of the app ``gae_broker``."""
