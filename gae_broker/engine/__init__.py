"""Use cases on the ports: enqueue, lease, deliver, dispatch, keep house."""
