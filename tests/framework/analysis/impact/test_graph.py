"""Who reaches a file, and how."""

from __future__ import annotations

import pytest

from test_framework.analysis.impact.graph import Finder, Graph, Link, make_graph
from test_framework.analysis.read import read

FILES = {"a.py": b"", "pkg/__init__.py": b"", "pkg/__main__.py": b"", "pkg/b.py": b"import a", "cli.py": b""}


def graph_of(source: bytes, gone: tuple[str, ...] = ()) -> Graph:
    """The graph of these files and one more, `user.py`."""
    files = {**FILES, "user.py": source}

    def find(_: str, name: str) -> str | None:
        path = name.replace(".", "/")
        return next((each for each in (f"{path}.py", f"{path}/__init__.py") if each in files), None)

    modules = {path: read(text) for path, text in files.items()}
    return make_graph(modules, Finder(find, modules, gone), files.__getitem__, {"shop": "cli.py"})


@pytest.mark.parametrize(
    ("source", "target", "how"),
    [
        (b"def f():\n    if x:\n        import a", "a.py", "imported by"),
        (b"from pkg import b", "pkg/b.py", "imported by"),
        (b"from pkg import *", "pkg/__init__.py", "imported by"),
        (b"patch('pkg.b.f')", "pkg/b.py", "named in"),
        (b"run([exe, '-m', 'pkg'])", "pkg/__main__.py", "run by"),
        (b"run('python -m pkg list', shell=True)", "pkg/__main__.py", "run by"),
        (b"run('shop list')", "cli.py", "run by"),
        (b"run(['shop', 'list'])", "cli.py", "run by"),
    ],
)
def test_a_file_reaches_what_it_imports_names_and_runs(source: bytes, target: str, how: str) -> None:
    """Wherever that stands in it."""
    assert graph_of(source).reach(target)["user.py"] == (Link("user.py", how),)


@pytest.mark.parametrize("source", [b"import os", b"open('a.py')", b"x = 'a b'", b"getgroup('shop')", b"'pkgs.b'"])
def test_a_word_is_no_module(source: bytes) -> None:
    """Names of files, and words that happen to be a command's."""
    graph = graph_of(source)
    assert [path for path in FILES if "user.py" in graph.reach(path)] == []


def test_the_shortest_way_is_told() -> None:
    """Each step with how it leads on."""
    ways = graph_of(b"from pkg.b import x").reach("a.py")
    assert ways["user.py"] == (Link("pkg/b.py", "imported by"), Link("user.py", "imported by"))


def test_what_is_gone_is_still_imported() -> None:
    """By its old name, also from below a directory that is on the path."""
    assert "user.py" in graph_of(b"import old.thing", gone=("src/old/thing.py",)).reach("src/old/thing.py")
    assert "user.py" not in graph_of(b"import bold.thing", gone=("src/old/thing.py",)).reach("src/old/thing.py")
