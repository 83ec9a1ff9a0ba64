"""What is served over HTTP: the development server."""
