"""Runs over time, in one SQLite file: what a test did at which commit, how steady it is, and since when it fails."""

from envmatrix.history.asked import History
from envmatrix.history.file import DEFAULT
from envmatrix.history.record import forget, remember
from envmatrix.history.timeline import Entry, Timeline

__all__ = ["DEFAULT", "Entry", "History", "Timeline", "forget", "remember"]
