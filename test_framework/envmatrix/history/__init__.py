"""Runs over time, in one SQLite file: what a test did at which commit, how steady it is, and since when it fails.

Every command that ends a run records it; `commands/` asks for timelines, durations and earlier matrices.
"""

from envmatrix.history.file import DEFAULT
from envmatrix.history.health import past_changes, remember_changes
from envmatrix.history.queries import History
from envmatrix.history.record import forget, remember
from envmatrix.history.timeline import PastCell, Timeline

__all__ = ["DEFAULT", "History", "PastCell", "Timeline", "forget", "past_changes", "remember", "remember_changes"]
