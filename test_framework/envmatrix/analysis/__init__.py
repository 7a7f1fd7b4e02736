"""What the source of a test suite says, without importing or running any of it."""
