"""The `[tool.envmatrix]` table of a project's `pyproject.toml`: where the environments and the suites are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator

from envmatrix.environments.explain import explained
from envmatrix.environments.tables import Table
from envmatrix.environments.toml_file import read_toml
from envmatrix.environments.used_keys import KINDS
from envmatrix.exceptions import DeclarationError, UnknownKeyError

Days = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Driver = Annotated[str, Field(pattern=r"^[\w.]+:\w+$")]
Excusable = Literal["skipped", "xfailed", "xpassed", "flaky"]


class GatePolicy(Table):
    """The `[tool.envmatrix.gate]` table: what `envmatrix gate` demands before it opens."""

    required: tuple[str, ...] = ()
    """Environments whose run the gate demands; by default those of the baseline."""
    baseline: str = "envmatrix-baseline.json"
    """How each test ended before: only what got worse is held against a change."""
    waivers: str = "envmatrix-waivers.toml"
    """Expected failures, each with an issue, an owner and an expiry."""
    maximum_baseline_age: Days | None = None
    """Days after which the baseline is too old; no limit by default."""
    allowed: tuple[Excusable, ...] = ("skipped", "xfailed", "xpassed", "flaky")
    """Outcomes besides `passed` that do not shut the gate."""
    minimum_tests: Count = 1
    """Tests that must have passed in each environment."""
    maximum_skipped: Share = 1.0
    """Share of an environment's tests that may be skipped: 0.25 is a quarter."""
    allow_dirty: bool = False
    """Whether a run with uncommitted changes, untracked files among them, may open the gate."""
    infrastructure_budget: Count = 0
    """Tests of each environment that may be lost to infrastructure, harness or an undetermined cause."""
    performance: Literal["fail", "list", "ignore"] = "list"
    """What becomes of a number that a test records and that is worse than its own history explains: `fail` shuts the gate,
    `list` only lists it, `ignore` does not look."""


class AuditPolicy(Table):
    """The `[tool.envmatrix.audit]` table: what `envmatrix audit` looks for, and where."""

    select: tuple[str, ...] = ("ALL",)
    """Rules that are on: `EM101`, `EM1` for all that begin so, `ALL`."""
    ignore: tuple[str, ...] = ()
    """Rules that are off. A rule that `select` names more exactly than `ignore` is on."""
    per_file_ignores: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Pattern of a path or of a file name → rules that are off there."""
    baseline: str = ".envmatrix-audit.json"
    """Known findings: only others are reported."""


class Project(Table):
    """The `[tool.envmatrix]` table of one project. Paths are as written, relative to `root`."""

    root: Path
    environments: str = "environments"
    """The directory of TOML files."""
    suites: tuple[str, ...] = ()
    """What pytest is given in every environment; pytest's own `testpaths` by default."""
    runs: str = ".envmatrix/runs"
    """Where run files are written, one directory a matrix."""
    contracts: dict[str, str] = Field(default_factory=dict)
    """Fixture name → `module:Class` of the contract it must keep, beside `real_services` and `real_llm`."""
    kinds: dict[str, Driver] = Field(default_factory=dict)
    """Kind of a service → `module:NAME` of its driver, beside those that packages bring. The module is found from `root`."""
    deadline: Annotated[float, Field(gt=0)] = 1800.0
    """Seconds that one environment's run may take."""
    test_deadline: Annotated[float, Field(gt=0)] = 60.0
    """Seconds that one test may take, setup and teardown included, unless pytest-timeout is told otherwise."""
    jobs: Annotated[int, Field(ge=1)] | None = None
    """Environments that `envmatrix matrix` runs at once at most; by default two for each core of the machine, and one for each
    GiB of its free memory. Those that took longest come first."""
    left_over: Literal["fail", "list", "ignore"] = "fail"
    """What becomes of a test that passes and leaves rows, keys, sockets, tasks, threads or processes behind: `fail` fails it, `list`
    only lists them at the end, `ignore` does not look for them."""

    gate: GatePolicy = GatePolicy()
    """What `envmatrix gate` demands."""
    audit: AuditPolicy = AuditPolicy()
    """What `envmatrix audit` looks for."""

    @field_validator("kinds")
    @classmethod
    def _ours_are_ours(cls, kinds: dict[str, str]) -> dict[str, str]:
        if taken := sorted(kinds.keys() & KINDS.keys()):
            raise ValueError(f"{taken[0]!r} is a kind of ours: name yours otherwise")
        return kinds

    @property
    def environments_dir(self) -> Path:
        """Return the directory of TOML files, absolute."""
        return self.root / self.environments

    @property
    def baseline_file(self) -> Path:
        """Return the file of the baseline, absolute."""
        return self.root / self.gate.baseline

    @property
    def waivers_file(self) -> Path:
        """Return the file of waivers, absolute."""
        return self.root / self.gate.waivers

    @property
    def runs_dir(self) -> Path:
        """Return the directory below which runs are written, absolute."""
        return self.root / self.runs

    @classmethod
    def find(cls, start: Path) -> Project:
        """Load the table from the nearest `pyproject.toml` at or above a directory; defaults where there is none.

        Raises:
            DeclarationError: the table is wrong.
        """
        start = start.resolve()
        for directory in (start, *start.parents):
            path = directory / "pyproject.toml"
            if path.is_file():
                return cls._read(path)
        return cls(root=start)

    @classmethod
    def _read(cls, path: Path) -> Project:
        file = read_toml(path)
        tool = file.data.get("tool", {})
        table = tool.get("envmatrix", {}) if isinstance(tool, dict) else {}
        if not isinstance(table, dict):
            raise DeclarationError(path, "tool.envmatrix is a table", file.line_of(("tool", "envmatrix")))
        if "root" in table:  # it is where the file stands
            line = file.line_of(("tool", "envmatrix", "root"))
            raise UnknownKeyError(path, "unknown key 'root' in tool.envmatrix", line)
        try:
            return cls.model_validate({**table, "root": path.parent})
        except ValidationError as error:
            raise explained(file, error, cls, ("tool", "envmatrix"), may_show=True) from None


def project_root(directory: Path) -> Path:
    """Return the root of the project around a directory of declarations, else the directory above it.

    Raises:
        DeclarationError: the project's own table is wrong.
    """
    root = Project.find(directory).root
    return root if (root / "pyproject.toml").is_file() else directory.resolve().parent
