"""What fixtures yield, by their source alone: each example is the body of a fixture."""

import ast
from textwrap import dedent, indent

import pytest

from envmatrix.analysis.source.facts import Call, Constant, Key, Name, Other, Shape
from envmatrix.analysis.source.shapes import shape_of
from envmatrix.analysis.source.values import is_mock


def shape(body: str, parameters: str = "") -> Shape:
    """Return the shape of a function with this body."""
    tree = ast.parse(f"def fixture({parameters}):\n{indent(dedent(body).strip(), '    ')}\n")
    (node,) = tree.body
    assert isinstance(node, ast.FunctionDef)
    found = shape_of(node)
    assert found is not None
    return found


def keys(found: Shape) -> dict[str, object]:
    """Return key → literal, `...` for what is no literal."""
    return {key.name: key.value.value if isinstance(key.value, Constant) else ... for key in found.keys}


@pytest.mark.parametrize(
    ("body", "known"),
    [
        ('return {"a": 1}', {"a": 1}),
        ('yield {"a": 1}', {"a": 1}),
        ('value = yield {"a": 1}', {"a": 1}),
        ("return dict(a=1)", {"a": 1}),
        ('return dict({"a": 1}, b=2)', {"a": 1, "b": 2}),
        ('return {**{"a": 1}, "b": 2}', {"a": 1, "b": 2}),
        ('return {"a": 1} | {"b": 2}', {"a": 1, "b": 2}),
        ('d = {"a": 1}\nd["b"] = 2\nreturn d', {"a": 1, "b": 2}),
        ('d = {}\nd.update({"a": 1}, b=2)\nreturn d', {"a": 1, "b": 2}),
        ('d = {}\nd |= {"a": 1}\nreturn d', {"a": 1}),
        ('d = {"a": 1}\nd.setdefault("b", 2)\nd.setdefault("a", 3)\nreturn d', {"a": 1, "b": 2}),
        ('d = {"a": 1, "b": 2}\ndel d["a"]\nd.pop("b")\nreturn d', {}),
        ('d = {"a": 1}\ne = d\ne["b"] = 2\nreturn d', {"a": 1, "b": 2}),
        ('d = {"a": 1}\ne = d.copy()\ne["b"] = 2\nreturn d', {"a": 1}),
        ('d = {"a": 1}\ne = {**d}\nuse(e)\nreturn d', {"a": 1}),
        ('url = "u"\nreturn {"a": url}', {"a": "u"}),
        ('d: dict = {"a": 1}\nprint(d)\nlen(d)\nreturn d', {"a": 1}),
        ('with lock:\n    d = {"a": 1}\nyield d\nd.clear()', {"a": 1}),
        ('d = {"a": 1}\ntry:\n    yield d\nfinally:\n    close()', {"a": 1}),
    ],
)
def test_all_keys_of_a_dict_are_seen(body: str, known: dict[str, object]) -> None:
    """Also those that are filled in later, by whatever name it goes then."""
    found = shape(body)
    assert (found.kind, found.type, found.is_complete) == ("dict", "dict", True)
    assert keys(found) == known


@pytest.mark.parametrize(
    "body",
    [
        'd = {"a": 1}\nfill(d)\nreturn d',
        'd = {"a": 1}\nfill([d])\nreturn d',
        'd = {"a": 1}\nself.held = d\nreturn d',
        'd = {"a": 1}\nd[name] = 2\nreturn d',
        'd = {"a": 1}\nd.update(other())\nreturn d',
        'd = {"a": 1}\nd |= other()\nreturn d',
        'd = {"a": 1}\nfor name in names:\n    d[name] = 2\nreturn d',
        'd = {"a": 1}\ndef later():\n    fill(d)\nreturn d',
        'd = {"a": 1}\nd.fill()\nreturn d',
        'return {"a": 1, **other()}',
        'return {"a": 1} | other()',
        "return dict(other(), a=1)",
        'return {"a": 1, name: 2}',
    ],
)
def test_what_may_have_added_a_key_makes_it_incomplete(body: str) -> None:
    """Whoever else holds the dict, or a key that is computed."""
    found = shape(body)
    assert (found.kind, found.is_complete) == ("dict", False)
    assert keys(found)["a"] == 1


@pytest.mark.parametrize(
    ("body", "known"),
    [
        ('d = {"a": 1}\nif up:\n    d["b"] = True\nreturn d', {"a": 1, "b": ...}),
        ('d = {"a": 1}\nif up:\n    d["a"] = 2\nreturn d', {"a": ...}),
        ('if up:\n    d = {"a": 1, "b": 1}\nelse:\n    d = {"a": 1, "b": 2}\nreturn d', {"a": 1, "b": ...}),
        ('if up:\n    return {"a": 1, "b": 1}\nreturn {"a": 1, "c": 1}', {"a": 1, "b": ..., "c": ...}),
        ('d = {"a": 1}\ntry:\n    d["a"] = ping()\nexcept OSError:\n    d["a"] = 2\nreturn d', {"a": ...}),
        ('d = {}\nfor each in names:\n    d["a"] = each\nreturn d', {"a": ...}),
    ],
)
def test_a_key_that_may_come_to_be_has_no_known_value(body: str, known: dict[str, object]) -> None:
    """It is among the keys all the same: nothing beyond them is there."""
    found = shape(body)
    assert (found.kind, found.is_complete) == ("dict", True)
    assert keys(found) == known


@pytest.mark.parametrize(
    ("body", "type_", "known"),
    [
        ("return SimpleNamespace(a=1)", "SimpleNamespace", {"a": 1}),
        ("s = types.SimpleNamespace()\ns.a = 1\ns.b = 2\ndel s.b\nyield s", "types.SimpleNamespace", {"a": 1}),
        ("return Config(a=1)", "Config", {"a": 1}),
        ('return Config(**{"a": 1})', "Config", {"a": 1}),
        ("return shop.Config(a=1)", "shop.Config", {"a": 1}),
    ],
)
def test_an_object_has_what_it_is_made_with_and_given(body: str, type_: str, known: dict[str, object]) -> None:
    """Its class stands beside it: what that adds is for the index to find out."""
    found = shape(body)
    assert (found.kind, found.type, found.is_complete) == ("object", type_, True)
    assert keys(found) == known


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        ("3", "int"),
        ('"x"', "str"),
        ('f"{x}"', "str"),
        ("True", "bool"),
        ("None", "None"),
        ("[1]", "list"),
        ("a == b", "bool"),
    ],
)
def test_a_plain_value_has_its_type(value: str, type_: str) -> None:
    """As far as anybody sees it."""
    found = shape(f"return {value}")
    assert (found.kind, found.type) == ("value", type_)


@pytest.mark.parametrize(
    "body",
    [
        "return make()",
        "return real_services",
        "def make(**words):\n    return dict(words)\nreturn make",
        "return lambda: {}",
        "with Client() as client:\n    yield client",
        "yield from other()",
        "return await_me[0]",
        'if up:\n    return {"a": 1}\nreturn None',
        "Config = load()\nreturn Config(a=1)",
    ],
)
def test_what_is_made_elsewhere_is_unknown(body: str) -> None:
    """Helpers, factories, contexts, ends of different kinds: never a guess."""
    found = shape(body, "real_services")
    assert (found.kind, found.keys, found.is_complete) == ("unknown", (), False)


def test_a_mock_keeps_the_name_that_made_it() -> None:
    """As a whole, as a context, or as one value among others."""
    assert shape("m = MagicMock()\nm.x = 1\nreturn m").type == "MagicMock"
    assert shape('with mock.patch("a.b") as m:\n    yield m').type == "mock.patch"
    (key,) = shape('client = AsyncMock()\nreturn {"client": client}').keys
    assert key == Key("client", Call(Name("AsyncMock"), (), ()), 3, 13)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Mock", True),
        ("unittest.mock.create_autospec", True),
        ("mock.patch.object", True),
        ("patch", True),
        ("mocker.patch", True),
        ("mocker.spy", False),
        ("client.patch", False),
        ("MockServer", False),
    ],
)
def test_a_request_is_no_mock(written: str, said: bool) -> None:
    """`client.patch(url)` speaks HTTP."""
    assert is_mock(written) is said


def test_places_are_those_of_the_source() -> None:
    """A key's is where it was put; the shape's is where the value was made."""
    found = shape('d = {"a": 1}\nd["b"] = object()\nreturn d')
    assert (found.line, found.column) == (2, 9)
    assert [(key.name, key.line, key.column) for key in found.keys] == [("a", 2, 10), ("b", 3, 5)]
    assert found.keys[1].value != Other()


def test_a_fixture_that_gives_nothing_has_no_shape() -> None:
    """Neither does the bare `return` of a generator give anything."""
    (node,) = ast.parse("def fixture():\n    tidy()\n").body
    assert isinstance(node, ast.FunctionDef)
    assert shape_of(node) is None
    assert shape('if done:\n    return\nyield {"a": 1}').kind == "dict"
