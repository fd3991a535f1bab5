"""What the trade does, as pure functions: no clock, no ids, no randomness, no I/O."""
