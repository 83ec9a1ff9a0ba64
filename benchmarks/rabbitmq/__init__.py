"""RabbitMQ, measured beside what else one would put on it: bare pika, kombu, Dramatiq and Celery."""
