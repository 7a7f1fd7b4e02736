"""Small projects, in memory: their files are texts."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from envmatrix.analysis.impact import (
    ChangeKind,
    DeclaredEnvironment,
    FileChange,
    Impact,
    ProjectSource,
    ServiceCommand,
    impact,
)
from envmatrix.analysis.index.async_plugins import AsyncPlugins
from envmatrix.analysis.index.collect import Patterns
from envmatrix.analysis.index.fixture_index import Index
from envmatrix.analysis.index.project_context import ProjectContext
from envmatrix.analysis.source.arriving import Arriving
from envmatrix.analysis.source.facts import Module, Wanted
from envmatrix.analysis.source.parse import parse
from envmatrix.analysis.source.source_files import SourceFiles

LOCAL = DeclaredEnvironment(
    "local",
    ("environments/local.toml",),
    (
        ServiceCommand("backend", ("shop/__main__.py", "shop/__init__.py"), "python -m shop", "local.toml"),
        ServiceCommand("auth", ("login.py",), "python -m login", "local.toml"),
    ),
    {"backend": frozenset({"auth", "database"}), "auth": frozenset({"database"}), "database": frozenset()},
    {"backend": "backend", "auth": "auth", "database": "database"},
)
STAGING = DeclaredEnvironment("staging", ("environments/staging.toml",), (), LOCAL.references, LOCAL.providers)

SHOP = {
    "shop/__init__.py": "",
    "shop/__main__.py": "from shop.app import run\nrun()",
    "shop/app.py": "from . import store\ndef run(): store.save()",
    "shop/store.py": "def save(): ...",
    "shop/prices.py": "def vat(): ...",
    "login.py": "import sys",
    "plug.py": """
        import pytest

        @pytest.fixture
        def real_services():
            return {}
        """,
    "tests/conftest.py": """
        import pytest

        @pytest.fixture
        def user(real_services):
            return tidy(real_services)

        @pytest.fixture
        def number():
            return 1

        def tidy(value):
            return value

        def unused():
            pass
        """,
    "tests/e2e/test_orders.py": """
        import pytest

        LIMIT = 3

        def test_total(user):
            assert user

        @pytest.mark.requires("auth")
        def test_login():
            assert _ask()

        def test_limit(number):
            assert LIMIT

        def _ask():
            return 1
        """,
    "tests/unit/test_prices.py": """
        from pathlib import Path

        from shop.prices import vat

        DATA = Path(__file__).parent / "data"

        def test_vat():
            assert vat()
        """,
    "tests/unit/test_words.py": """
        def test_words():
            assert open("words.txt")

        def test_other():
            assert 1
        """,
}
"""A shop with two services, a suite and unit tests."""


def text(source: str) -> bytes:
    """The bytes of a file."""
    return textwrap.dedent(source).lstrip().encode()


def make_tree(files: Mapping[str, str]) -> ProjectSource:
    """The project of these files, whose suite is `tests/e2e`."""
    held = {path: text(source) for path, source in files.items() if path.endswith(".py")}
    modules = {path: parse(source, Wanted(parts=True)) for path, source in held.items()}

    def find(path: str, module: str) -> str | None:
        bare = module.lstrip(".")
        up = len(module) - len(bare)
        base = path.split("/")[:-up] if up else []
        below = "/".join([*base, *bare.split(".")]) if bare else "/".join(base)
        return next((each for each in (f"{below}.py", f"{below}/__init__.py") if each in held), None)

    surroundings = ProjectContext(
        directory="",
        patterns=Patterns(),
        usefixtures=(),
        test_files=tuple(path for path in held if path.rpartition("/")[2].startswith("test_")),
        conftests=tuple(path for path in held if path.endswith("conftest.py")),
        plugins=(("plug", "plug.py"),) if "plug.py" in held else (),
        async_plugins=AsyncPlugins(),
        pytest=(9,),
        builtin=(),
        unread_plugins=(),
    )
    index = Index(
        Path("/nowhere"),
        [surroundings],
        SourceFiles(Path("/nowhere"), {path: path for path in held}, Arriving(list(held), modules), _refuse),
        find,
    )
    return ProjectSource(
        index,
        modules,
        find,
        held.__getitem__,
        suites=("tests/e2e",),
        plugins=frozenset({"plug.py"}),
        contracts={"real_services": ("contract.py", "Services"), "real_llm": ("", "RealLLM")},
        contract_version="1.0.0",
    )


def _refuse(path: Path) -> Module:
    raise AssertionError(path)


def of(
    path: str,
    edit: tuple[str, str] | None = None,
    *,
    files: Mapping[str, str] = SHOP,
    places: Sequence[DeclaredEnvironment] = (LOCAL, STAGING),
    kinds: Sequence[ChangeKind] = tuple(ChangeKind),
    deleted: bool = False,
    added: str | None = None,
    was: str = "",
) -> Impact:
    """What a change of one file of the project leads to: words replaced, deleted, added, or moved from elsewhere."""
    before, after = dict(files), dict(files)
    if edit is not None:
        source = textwrap.dedent(files[path])
        assert edit[0] in source
        after[path] = source.replace(*edit)
    elif deleted:
        del after[path]
    elif was:
        after[path] = after.pop(was)
    elif added is not None:
        before.pop(path, None)
        after[path] = added
    old, new = before.get(was or path), after.get(path)
    change = FileChange(path, was or path, None if old is None else text(old), None if new is None else text(new))
    return impact([change], make_tree(after), places, kinds)


def names(found: Impact) -> dict[str, set[str]]:
    """The selected tests by environment, without their files; environments of which none is, left out."""
    return {place: {nodeid.rpartition("::")[2] for nodeid in tests} for place, tests in found.selected.items() if tests}


def why(found: Impact, test: str, place: str = "local") -> str:
    """Because of what a test is selected."""
    return next(", ".join(because) for nodeid, because in found.selected[place].items() if nodeid.endswith(f"::{test}"))
