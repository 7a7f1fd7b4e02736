"""The stand-in for the auth service, which says so on `/health`: `python -m environments.reference.stubs`."""

from environments.reference.stubs.auth_stub import main

__all__ = ["main"]
