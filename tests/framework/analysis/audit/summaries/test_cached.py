"""What is kept of a tree from one look to the next: always what a fresh look would say."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from envmatrix.analysis.audit.audit import AuditResult, audit
from envmatrix.analysis.audit.baseline import AuditBaseline
from envmatrix.analysis.audit.selection import RuleSelection
from envmatrix.analysis.audit.summaries.cached import CachedSummaries
from envmatrix.analysis.index.build import CONTRACTS, index_of
from envmatrix.analysis.index.fixture_index import Index
from envmatrix.analysis.source import load
from envmatrix.analysis.source.cache import Cache
from envmatrix.analysis.source.facts import Module, Wanted
from envmatrix.analysis.source.load import load_modules
from tests.framework.analysis.generated import Files, trees
from tests.framework.analysis.trees import read_once, write_tree

EXAMPLES = 12
EVERYTHING = RuleSelection(select=("ALL", "EM108"))
FIXTURE = "import pytest\n@pytest.fixture\ndef {}(): ...\n"


@pytest.fixture(scope="module", autouse=True)
def _settled() -> Iterator[None]:
    """Trust a file as soon as it is written: what changes here takes longer than the file system's clock."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("envmatrix.analysis.source.cache._RACY_NS", 0)
        yield


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cache]:
    """A cache that knows pytest's own plugins after the first look; trees in it are told apart by their roots."""
    with Cache(tmp_path_factory.mktemp("cache") / "cache.sqlite", CONTRACTS) as made:
        yield made


def look(root: Path, cache: Cache | None = None) -> AuditResult:
    """Audit a tree by all rules."""
    return audit(index(root, cache), EVERYTHING, AuditBaseline.empty(), cache=cache)


def index(root: Path, cache: Cache | None = None) -> Index:
    """Index a tree as the command does."""
    if cache is None:
        return index_of(root, load_modules=read_once)

    def read(files: Sequence[Path]) -> dict[Path, Module]:
        found = load_modules(map(str, files), wanted=Wanted(CONTRACTS), cache=cache)
        return {Path(path): module for path, module in found.items()}

    return index_of(
        root, load_modules=read, load_changes=partial(load.load_changes, wanted=Wanted(CONTRACTS), cache=cache)
    )


@given(before=trees(), after=trees(), changed=st.sets(st.integers(0, 20)))
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_any_change_is_seen_as_by_a_fresh_look(cache: Cache, before: Files, after: Files, changed: set[int]) -> None:
    """Files that were written anew, added or removed in between, and all that rests on them."""
    with TemporaryDirectory(prefix="tree-") as directory:
        root = Path(directory).resolve()
        _write(root, before)
        assert look(root, cache) == look(root)
        for number, name in enumerate(sorted({*before, *after})):
            if number in changed and name in after:
                _write(root, {name: after[name]})
            elif number in changed:
                (root / name).unlink()
        assert look(root, cache) == look(root)
        assert look(root, cache) == look(root)


TREE = {
    "conftest.py": f"pytest_plugins = 'plug'\n{FIXTURE.format('shared')}",
    "plug.py": FIXTURE.format("theirs"),
    "helpers.py": "from deeper import made\n",
    "deeper.py": FIXTURE.format("made"),
    "one/conftest.py": FIXTURE.format("near"),
    "one/test_a.py": "def test_a(near, shared): ...\n",
    "two/test_b.py": "from helpers import made\ndef test_b(made, shared): ...\n",
    "two/test_c.py": "def test_c(shared, gone): ...\n",
}
NEXT = {
    "a test": ({"two/test_c.py": "def test_c(made): ...\n"}, {"two/test_c.py"}),
    "its conftest": ({"one/conftest.py": FIXTURE.format("far")}, {"one/conftest.py", "one/test_a.py"}),
    "everybody's conftest": (
        {"conftest.py": f"pytest_plugins = 'plug'\n{FIXTURE.format('gone')}"},
        {"conftest.py", "one/conftest.py", "one/test_a.py", "two/test_b.py", "two/test_c.py"},
    ),
    "a helper's helper": ({"deeper.py": "made = 1\n"}, {"two/test_b.py"}),
    "a module that is nearer": ({"two/helpers.py": "made = 1\n"}, {"two/test_b.py"}),
    "a helper that is gone": ({"helpers.py": None}, {"two/test_b.py"}),
    "a new conftest": ({"two/conftest.py": FIXTURE.format("gone")}, {"two/test_b.py", "two/test_c.py"}),
    "a new test": ({"two/test_d.py": "def test_d(): ...\n"}, set()),
    "a plugin": (
        {"plug.py": FIXTURE.format("gone")},
        {":", "conftest.py", "one/conftest.py", "one/test_a.py", "two/test_b.py", "two/test_c.py"},
    ),
    "a plugin that a test names": (
        {"one/test_a.py": "pytest_plugins = 'deeper'\ndef test_a(made): ...\n"},
        {":", "conftest.py", "one/conftest.py", "one/test_a.py", "two/test_b.py", "two/test_c.py"},
    ),
    "a setting": (
        {"pytest.ini": "[pytest]\naddopts = --disable-plugin-autoload\npython_functions = test check\n"},
        {":", "conftest.py", "one/conftest.py", "one/test_a.py", "two/test_b.py", "two/test_c.py"},
    ),
}


@pytest.mark.parametrize(("files", "forgotten"), NEXT.values(), ids=NEXT)
def test_what_rests_on_a_change_is_forgotten_and_nothing_else(
    files: Mapping[str, str | None], forgotten: set[str], tmp_path: Path, cache: Cache
) -> None:
    """A file, the conftests around it, what its names lead to, and where modules are found."""
    root = write_tree(tmp_path, TREE)
    look(root, cache)
    known = set(_kept(root, cache).summaries)
    assert known == {":", *(name for name in TREE if "conftest" in name or "test_" in name)}
    for name, text in files.items():
        if text is None:
            (root / name).unlink()
        else:
            (root / name).write_text(text)
    assert known - set(_kept(root, cache).summaries) == forgotten
    assert look(root, cache) == look(root)
    assert look(root, cache) == look(root)


@pytest.mark.parametrize(("changed", "forgotten"), [("left.py", "test_a.py"), ("right.py", "test_b.py")])
def test_a_helper_leads_wherever_any_test_went_through_it(
    changed: str, forgotten: str, tmp_path: Path, cache: Cache
) -> None:
    """A test that goes another way through it, later, adds to what is known of it."""
    root = write_tree(
        tmp_path,
        {
            "helpers.py": "from left import a\nfrom right import b\n",
            "left.py": FIXTURE.format("a"),
            "right.py": FIXTURE.format("b"),
            "test_a.py": "from helpers import a\ndef test_a(a): ...\n",
            "test_b.py": "def test_b(): ...\n",
        },
    )
    look(root, cache)
    (root / "test_b.py").write_text("from helpers import b\ndef test_b(b): ...\n")
    look(root, cache)
    assert {"test_a.py", "test_b.py"} <= _kept(root, cache).summaries.keys()
    (root / changed).write_text("a = b = 1\n")
    assert forgotten not in _kept(root, cache).summaries
    assert look(root, cache) == look(root)


def test_what_helpers_say_of_themselves_is_kept(tmp_path: Path, cache: Cache) -> None:
    """A file that cannot be read, and a comment that suppresses a finding, although nobody reads these files again."""
    root = write_tree(
        tmp_path,
        {
            "helpers.py": "import pytest\nfrom broken import gone\n@pytest.fixture\ndef made(absent): ...  # noqa: EM101\n",
            "broken.py": "import pytest\ndef gone(:\n",
            "test_a.py": "from helpers import gone, made\ndef test_a(made, gone): ...\n",
        },
    )
    first = look(root, cache)
    assert {each.code for each in first.findings} >= {"EM107"}
    assert first.suppressed == 1
    assert look(root, cache) == first == look(root)


def test_a_tree_of_names_without_an_encoding_is_looked_at_each_time(tmp_path: Path, cache: Cache) -> None:
    """Nothing of it is kept, and nothing of it is lost."""
    root = write_tree(tmp_path, {})
    Path(os.fsdecode(os.fsencode(root) + b"/test_\xff.py")).write_text("def test_a(gone): ...\n")
    first = look(root, cache)
    assert [each.code for each in first.findings if each.code == "EM101"] == ["EM101"]
    assert look(root, cache) == first


def test_of_two_runs_at_once_the_later_keeps_nothing(tmp_path: Path, cache: Cache) -> None:
    """What it saw may be older than what the other one kept."""
    root = write_tree(tmp_path, TREE)
    look(root, cache)
    late = _kept(root, cache)
    (root / "two/test_c.py").write_text("def test_c(shared): ...\n")
    look(root, cache)
    late.complete({})
    assert look(root, cache) == look(root)


def test_a_cache_that_was_scrambled_is_as_good_as_none(tmp_path: Path) -> None:
    """Every part has a checksum."""
    root = write_tree(tmp_path, TREE)
    file = tmp_path / "cache.sqlite"
    with Cache(file) as cache:
        look(root, cache)
    whole = file.read_bytes()
    assert whole.count(b"two/test_c.py") > 1
    file.write_bytes(whole.replace(b"gone", b"none"))
    with Cache(file) as cache:
        assert look(root, cache) == look(root)


def _write(root: Path, files: Files) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def _kept(root: Path, cache: Cache) -> CachedSummaries:
    found = index(root, cache)
    assert found.inputs is not None
    return CachedSummaries(cache, found, found.inputs)


def test_another_process_finds_the_same_view(tmp_path: Path) -> None:
    """Its hashes differ, and with them the order of its sets."""
    write_tree(tmp_path, {"test_a.py": "def test_a(): ..."})
    imports = "import sys; from pathlib import Path; from envmatrix.analysis.index.build import index_of"
    code = f"{imports}; print(index_of(Path(sys.argv[1])).inputs.view)"
    views = [
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2")
    ]
    assert views[0] == views[1]
