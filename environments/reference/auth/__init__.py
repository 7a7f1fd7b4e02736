"""Sign-up, login, sessions, API keys and public keys: `python -m environments.reference.auth`."""

from environments.reference.auth.app import main

__all__ = ["main"]
