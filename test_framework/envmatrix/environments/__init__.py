"""Where the system under test runs: what a TOML file declares, validated into frozen models.

Every room reads them; `commands/` and `plugin/` load them, and only `edit` writes a declaration back.
"""

from envmatrix.environments.canary import Canary, CanaryRoute, CanarySocket
from envmatrix.environments.compose import Compose
from envmatrix.environments.environment import BACKEND, DOWN, ContractTable, Environment, Twin
from envmatrix.environments.load import (
    declaration_of,
    declared_names,
    load_environment,
    load_environments,
    load_file,
    process_variables,
)
from envmatrix.environments.maintenance import Maintenance
from envmatrix.environments.project import AuditPolicy, GatePolicy, Project, project_root
from envmatrix.environments.pytest_table import PytestTable
from envmatrix.environments.references import GLOBAL_FIELDS, REFERENCE_FIELDS, fill, references_in
from envmatrix.environments.service import CONTAINERS, UNVERIFIED, ServiceSpec, Source
from envmatrix.environments.toml_file import read_toml
from envmatrix.environments.users import Account, Csrf, UserRoutes
from envmatrix.environments.variant import Fault, Variant

__all__ = [
    "BACKEND",
    "CONTAINERS",
    "DOWN",
    "GLOBAL_FIELDS",
    "REFERENCE_FIELDS",
    "UNVERIFIED",
    "Account",
    "AuditPolicy",
    "Canary",
    "CanaryRoute",
    "CanarySocket",
    "Compose",
    "ContractTable",
    "Csrf",
    "Environment",
    "Fault",
    "GatePolicy",
    "Maintenance",
    "Project",
    "PytestTable",
    "ServiceSpec",
    "Source",
    "Twin",
    "UserRoutes",
    "Variant",
    "declaration_of",
    "declared_names",
    "fill",
    "load_environment",
    "load_environments",
    "load_file",
    "process_variables",
    "project_root",
    "read_toml",
    "references_in",
]
