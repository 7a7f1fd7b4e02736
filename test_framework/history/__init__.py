"""Runs over time, in one SQLite file: what a test did at which commit, how steady it is, and since when it fails."""

from test_framework.history.asked import History
from test_framework.history.file import DEFAULT
from test_framework.history.record import forget, remember
from test_framework.history.timeline import Entry, Timeline

__all__ = ["DEFAULT", "Entry", "History", "Timeline", "forget", "remember"]
