"""What a test reads of the fixtures it is given; `p` is one of them."""

import ast
from textwrap import dedent, indent

import pytest

from envmatrix.analysis.source import reads as reads_module
from envmatrix.analysis.source.facts import Function
from envmatrix.analysis.source.parse import parse
from envmatrix.analysis.source.reads import reads_in, reads_of
from envmatrix.analysis.source.word_lines import WordLines


def reads(body: str, parameters: str = "p") -> list[str]:
    """Return what a function with this body reads, in short."""
    source = f"def test({parameters}):\n{indent(dedent(body).strip(), '    ')}\n"
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.FunctionDef)
    found = reads_of(node, frozenset({"p", "q"}), WordLines(source.encode()))
    return [f"{read.how} {read.parameter}.{read.key}" for read in found]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ('assert p["a"]', ["item p.a"]),
        ("assert p.a", ["attribute p.a"]),
        ('assert p.get("a")', ["get p.a"]),
        ('assert p["a"]["b"].c', ["item p.a"]),
        ("p.a.b()", ["attribute p.a"]),
        ('x = p\nassert x["a"]', ["item p.a"]),
        ('def inner():\n    return p["a"]\nassert inner()', ["item p.a"]),
        ('assert (lambda: p["a"])()', ["item p.a"]),
        ('assert [p["a"] for _ in range(3)]', ["item p.a"]),
        ('def inner(p):\n    return p["a"]', []),
        ('x = p\nx = other\nassert x["a"]', []),
        ('p = {**p}\nassert p["a"]', []),
        ('p["a"] = 1\ndel p["b"]\np.c = 2', ["change p."]),
        ("assert p.items() and p.keys() and p.copy()", []),
        ("assert p[name] and p[0] and p.__class__", []),
        ('if "a" in p:\n    assert p["a"]', []),
        ('assert hasattr(p, "a") and p.a', []),
        ('with pytest.raises(KeyError):\n    p["a"]', []),
        ('try:\n    p["a"]\nexcept (KeyError, OSError):\n    p["b"]', ["item p.b"]),
        ("assert other.a", []),
    ],
)
def test_reads_are_found_where_the_fixture_is_meant(body: str, found: list[str]) -> None:
    """By key, attribute or `get`; not once the name is bound again, nor where its absence is expected."""
    assert reads(body) == found


def test_only_the_named_parameters_are_looked_at() -> None:
    """Each under its own name, wherever it stands among the parameters."""
    assert reads('assert p["a"] and q.b and r.c', "r, *, q, p=None") == ["item p.a", "attribute q.b"]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("frob(p)", ["change"]),
        ("it.len(p)", ["change"]),
        ("len(frob(p))", ["change"]),
        ("len(p)\n    frob(1, p)", ["change"]),
        ('len(p) or p["a"]', ["item"]),
        ('str(p, p["a"])', ["item"]),
    ],
)
def test_a_later_look_finds_what_a_function_reads_or_hands_on(body: str, found: list[str]) -> None:
    """By the lines of its file; what a built-in function is given stays as it is, what any other is given may change."""
    source = f"def test(p):\n    {body}\n"
    (bound,) = parse(source.encode()).body
    assert isinstance(bound.to, Function)
    assert [read.how for read in reads_in(source.splitlines(keepends=True), bound.to, "p")] == found


def test_what_is_handed_to_built_in_functions_alone_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text says enough: this is the use that most tests make of a fixture whose keys they do not read."""
    source = "def test(p):\n    assert len(p) == 1 and dict(a=p)['a']\n    print(p, 2)\n"
    (bound,) = parse(source.encode()).body
    assert isinstance(bound.to, Function)
    monkeypatch.setattr(reads_module, "ast", None)
    assert reads_in(source.splitlines(keepends=True), bound.to, "p") == ()
