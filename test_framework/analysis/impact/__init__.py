"""What a change can break, and where: from a diff to tests and environments, each with its because."""

from test_framework.analysis.impact.changes import Change, Kind
from test_framework.analysis.impact.columns import NOWHERE
from test_framework.analysis.impact.places import Place, Start
from test_framework.analysis.impact.select import Impact, impact
from test_framework.analysis.impact.tree import Tree

__all__ = ["NOWHERE", "Change", "Impact", "Kind", "Place", "Start", "Tree", "impact"]
