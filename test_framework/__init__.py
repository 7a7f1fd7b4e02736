"""One test suite, every environment, one compatibility matrix."""
