"""Task queues in a Django project: ``INSTALLED_APPS = ["gae_broker_adapters.django", ...]``."""
