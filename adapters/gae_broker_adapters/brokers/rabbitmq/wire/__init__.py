"""How a thread talks with RabbitMQ: addresses, connections, what goes over them and how they fail."""
