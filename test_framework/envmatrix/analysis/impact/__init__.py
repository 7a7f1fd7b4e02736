"""What a change can break, and where: from a diff to tests and environments, each with its because."""

from envmatrix.analysis.impact.changes import Change, Kind
from envmatrix.analysis.impact.columns import NOWHERE
from envmatrix.analysis.impact.places import Place, Start
from envmatrix.analysis.impact.select import Impact, impact
from envmatrix.analysis.impact.tree import Tree

__all__ = ["NOWHERE", "Change", "Impact", "Kind", "Place", "Start", "Tree", "impact"]
