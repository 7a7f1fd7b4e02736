"""Who reaches a file, and how."""

from __future__ import annotations

import pytest

from envmatrix.analysis.impact.import_graph import ImportGraph, ModuleFiles, make_import_graph
from envmatrix.analysis.source.parse import parse

FILES = {
    "a.py": b"",
    "pkg/__init__.py": b"",
    "pkg/__main__.py": b"",
    "pkg/b.py": b"import a",
    "cli.py": b"",
    "plug.py": b"",
}


def graph_of(source: bytes, gone: tuple[str, ...] = ()) -> ImportGraph:
    """The graph of these files and one more, `user.py`."""
    files = {**FILES, "user.py": source}

    def find(_: str, name: str) -> str | None:
        path = name.replace(".", "/")
        return next((each for each in (f"{path}.py", f"{path}/__init__.py") if each in files), None)

    modules = {path: parse(text) for path, text in files.items()}
    return make_import_graph(
        modules, ModuleFiles(find, modules, gone), files.__getitem__, {"shop": "cli.py"}, ["plug.py"]
    )


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (b"def f():\n    if x:\n        import a", "a.py"),
        (b"from pkg import b", "pkg/b.py"),
        (b"from pkg import *", "pkg/__init__.py"),
    ],
)
def test_a_file_imports(source: bytes, target: str) -> None:
    """Wherever the import stands in it."""
    assert "user.py" in graph_of(source).importers[target]


@pytest.mark.parametrize(
    ("source", "target", "how"),
    [
        (b"patch('pkg.b.f')", "pkg/b.py", "named in"),
        (b"import_module('a')", "a.py", "named in"),
        (b"pytest_plugins = [\n    'a',\n]", "a.py", "named in"),
        (b"write('''\nfrom pkg import b\n''')", "pkg/__init__.py", "named in"),
        (b"run([exe, HERE / 'cli.py'])", "cli.py", "named in"),
        (b"run([exe, '-m', 'pkg'])", "pkg/__main__.py", "run by"),
        (b"run('python -m pkg list', shell=True)", "pkg/__main__.py", "run by"),
        (b"run('shop list')", "cli.py", "run by"),
        (b"run(['shop', 'list'])", "cli.py", "run by"),
        (b"""run("sh -c 'shop list'")""", "cli.py", "run by"),
        (b"""say(f"{run('shop list')}")""", "cli.py", "run by"),
        (b"run([exe, '-m', 'pytest'])", "plug.py", "loaded by the pytest of"),
        (b"pytester.runpytest()", "plug.py", "loaded by the pytest of"),
    ],
)
def test_a_file_names_and_runs(source: bytes, target: str, how: str) -> None:
    """In its texts; and the pytest that it starts loads the plugins."""
    assert ("user.py", how) in {(link.path, link.how) for link in graph_of(source).namers[target]}


@pytest.mark.parametrize(
    "source",
    [
        b"import os",
        b"open('a.toml')",
        b"x = 'a b'",
        b"parser.getgroup('shop', 'all about it')",
        b"'pkgs.b'",
        b"""execute("SELECT lock('shop orders')")""",
        b"write('pkg/__init__.py')",
    ],
)
def test_a_word_is_no_module(source: bytes) -> None:
    """Names of files that a test writes, and words that happen to be a command's."""
    graph = graph_of(source)
    assert [path for path in FILES if "user.py" in graph.importers.get(path, ())] == []
    assert [path for path in FILES if "user.py" in {link.path for link in graph.namers.get(path, ())}] == []


def test_a_file_is_seen_by_who_imports_it_directly_or_not() -> None:
    """Itself first, then the nearest."""
    assert list(graph_of(b"from pkg.b import x").sees("a.py")) == ["a.py", "pkg/b.py", "user.py"]


def test_what_is_gone_is_still_imported() -> None:
    """By its old name, also from below a directory that is on the path."""
    assert "user.py" in graph_of(b"import old.thing", gone=("src/old/thing.py",)).importers["src/old/thing.py"]
    assert "src/old/thing.py" not in graph_of(b"import bold.thing", gone=("src/old/thing.py",)).importers
