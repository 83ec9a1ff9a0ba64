"""Where attempts go: HTTP servers, applications in this process, applications in worker processes."""
