"""Applications that the tests and the demo run."""
