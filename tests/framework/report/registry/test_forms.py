"""The registry as text, JSON, Markdown and a Mermaid flowchart."""

from __future__ import annotations

import json
import re

import pytest

from envmatrix.analysis.index.registry import Provider, Registry
from envmatrix.analysis.source.facts import Key, Other, Shape
from envmatrix.report.registry import as_json, as_markdown, as_mermaid, as_text
from envmatrix.report.text import inert

SHAPE = Shape("dict", "dict", (Key("url", Other(), 1, 1), Key("token", Other(), 1, 1)), False, 1, 1)


def provider(name: str, line: int, **more: object) -> Provider:
    """A provider, by default of a function's scope in one conftest."""
    held: dict[str, object] = {
        "path": "tests/conftest.py",
        "plugin": "",
        "visible": ("tests",),
        "scope": "function",
        "is_autouse": False,
        "has_params": False,
        "document": "",
        "shape": None,
        "needs": (),
        "needs_places": (),
        "users": (),
        "place": ("tests/conftest.py", line),
    }
    return Provider(name=name, line=line, **(held | more))  # type: ignore[arg-type]


DB = provider(
    "db", 3, scope="session", document="The database, emptied.", users=tuple(f"t.py::test_{n}" for n in range(5))
)
CLIENT = provider("client", 9, needs=("db", "tmp_path"), needs_places=(DB.place,), shape=SHAPE, users=("t.py::test_1",))
PYTEST = provider("tmp_path", 1, path="", plugin="pytest", visible=("",), place=("/lib/tmpdir.py", 1))
REGISTRY = Registry((CLIENT, DB, PYTEST))


def test_every_fixture_is_a_line() -> None:
    """With where it is, how often it is made and how many tests use it."""
    assert as_text(REGISTRY).splitlines() == [
        "fixture   scope     provided by          tests",
        "client    function  tests/conftest.py:9      1",
        "db        session   tests/conftest.py:3      5  The database, emptied.",
        "tmp_path  function  plugin pytest            0",
    ]


def test_one_fixture_is_told_in_full() -> None:
    """What it yields, what it needs, the first tests that use it."""
    assert as_text(REGISTRY, "client").splitlines() == [
        "client: 1 provider",
        "",
        "tests/conftest.py:9",
        "  scope    function",
        "  seen     tests",
        "  yields   dict with url, token, …",
        "  needs    db, tmp_path",
        "  used by  1 test: t.py::test_1",
    ]
    assert "used by  5 tests: t.py::test_0, t.py::test_1, t.py::test_2 and 2 more" in as_text(REGISTRY, "db")


def test_the_document_has_everything() -> None:
    """One name alone where it is asked for; no path of an installed plugin."""
    fixtures = {each["name"]: each["providers"] for each in json.loads(as_json(REGISTRY))["fixtures"]}
    assert list(fixtures) == ["client", "db", "tmp_path"]
    assert fixtures["client"][0]["yields"] == {
        "kind": "dict",
        "type": "dict",
        "keys": ["url", "token"],
        "complete": False,
    }
    assert fixtures["tmp_path"][0]["path"] is None
    assert "/lib" not in as_json(REGISTRY)
    assert [each["name"] for each in json.loads(as_json(REGISTRY, "db"))["fixtures"]] == ["db"]


def test_a_page_says_nothing_that_changes_with_every_commit() -> None:
    """Neither lines nor numbers of tests."""
    assert "| `client` | function | `dict with url, token, …` | `db`, `tmp_path` | `tests/conftest.py:9` | 1 |  |" in (
        as_markdown(REGISTRY).splitlines()
    )
    page = as_markdown(REGISTRY, is_page=True)
    assert "| `db` | session |  |  | `tests/conftest.py` | The database, emptied. |" in page.splitlines()


def test_the_flowchart_has_a_node_a_fixture_and_an_edge_a_need() -> None:
    """Its shape says the scope; fixtures of plugins and those without an edge are left out."""
    alone = provider("alone", 20)
    assert as_mermaid(Registry((alone, *REGISTRY.providers))).splitlines() == [
        "flowchart LR",
        '  f1["client<br>tests/conftest.py"]',
        '  f2(["db<br>tests/conftest.py"])',
        "  f2 --> f1",
    ]


def test_the_flowchart_of_one_has_its_needs_and_its_users() -> None:
    """The one that is asked for is there even without an edge."""
    registry = Registry((*REGISTRY.providers, provider("other", 20, scope="module")))
    chart = as_mermaid(registry, "db")
    assert '["client<br>' in chart
    assert "other" not in chart
    assert as_mermaid(registry, "other").splitlines()[1:] == ['  f0("other<br>tests/conftest.py")']


@pytest.mark.fault("hostile-test-name")
def test_names_do_nothing() -> None:
    """Names and docstrings come from anybody's source."""
    name = '<script>"&\x1b[31m|`\ud800'
    registry = Registry((provider(name, 1, document=name, path=f"{name}.py", users=(name,), needs=(name,)),))
    for text in (as_mermaid(registry, name), as_text(registry), as_text(registry, name), as_markdown(registry)):
        assert "\x1b" not in text
        text.encode()
    assert all(line.count("`") >= 2 for line in as_markdown(registry).splitlines()[2:])


@pytest.mark.fault("hostile-test-name")
@pytest.mark.parametrize(
    "name",
    [
        '"]:::red',
        "a\nf0 --> f9",
        "#quot;",
        "```",
        "`**bold**`",
        "<img src=x onerror=alert(1)>",
        "%%{init: {}}%%",
        'x"]\n  click f0 href "javascript:alert(1)"',
        "end",
        "1. list",
    ],
)
def test_names_are_no_syntax_of_mermaid(name: str) -> None:
    """Between the quotes of a label stand only plain characters and Mermaid's character codes."""
    chart = as_mermaid(Registry((provider(name, 1, path=f"{name}.py"),)), name)
    node = re.fullmatch(r'flowchart LR\n  f0\["((?:[\w./-]|#\d+;)+)<br>((?:[\w./-]|#\d+;)+)"\]\n', chart)
    assert node is not None, chart
    shown = re.sub(r"#(\d+);", lambda match: chr(int(match[1])), node[1])
    assert shown == inert(name)
