"""What is served over HTTP: the development server, the probes, the REST API."""
