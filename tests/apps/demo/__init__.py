"""The demo: the shop under ``gae-broker dev``, some hundred tasks, and a check that each ended as it should."""
