"""What a test reads of the fixtures it is given; `p` is one of them."""

import ast
from textwrap import dedent, indent

import pytest

from envmatrix.analysis.source.reads import reads_of
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
