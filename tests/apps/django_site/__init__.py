"""A Django project with task queues, as its tests serve it."""
