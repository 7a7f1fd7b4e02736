"""What the source of a test suite says, without importing or running any of it."""

from envmatrix.analysis.index.providers import Provider, find_providers

__all__ = ["Provider", "find_providers"]
