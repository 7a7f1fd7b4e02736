"""The impact of a diff: which tests it may change, in which environments, and the way that leads to each.

`envmatrix impact`, `envmatrix matrix --impacted-since` and the reports come in here.
"""

from envmatrix.analysis.impact.changes import ChangeKind, FileChange
from envmatrix.analysis.impact.environments import DeclaredEnvironment, ServiceCommand
from envmatrix.analysis.impact.evidence import Evidence
from envmatrix.analysis.impact.project_source import ProjectSource
from envmatrix.analysis.impact.select import Impact, impact
from envmatrix.analysis.impact.selection import NOWHERE, Because

__all__ = [
    "NOWHERE",
    "Because",
    "ChangeKind",
    "DeclaredEnvironment",
    "Evidence",
    "FileChange",
    "Impact",
    "ProjectSource",
    "ServiceCommand",
    "impact",
]
