"""Threads, agents and per-user state over REST and WebSocket: `python -m environments.reference.backend`."""

from environments.reference.backend.app import main

__all__ = ["main"]
