"""Pure values and rules: no clock, no I/O; time is passed in, in microseconds since the epoch."""
