"""What classes have, read from their source: our own contracts in the same way as a project's."""

import ast
from pathlib import Path

import pytest

from envmatrix.analysis.source.fields import OURS, FieldReader, types_of
from envmatrix.contracts import RealLLM, RealServices


def reader(root: Path, **files: str) -> FieldReader:
    """Write modules, and return what reads their classes."""
    for name, text in files.items():
        (root / f"{name}.py").write_text(text, encoding="utf-8")
    return FieldReader(root, lambda _, module: f"{module}.py" if module in files else None)


@pytest.mark.parametrize("contract", [RealServices, RealLLM])
def test_our_contracts_are_read_as_pydantic_sees_them(tmp_path: Path, contract: type[RealServices | RealLLM]) -> None:
    """No field too many or too few, and everything else that can be read of one."""
    found = reader(tmp_path).of(str(OURS), contract.__name__)
    assert found is not None
    assert list(found.fields) == list(contract.model_fields)
    assert found.is_whole
    assert "used_meanings" in found


def test_a_projects_contract_has_our_fields_and_its_own(tmp_path: Path) -> None:
    """Through its own bases and imports, by the name that its settings give it; nothing of it is imported."""
    found = reader(
        tmp_path,
        base="from envmatrix import RealServices as Ours\nclass Base(Ours):\n  region: str\nraise SystemExit",
        shop="from base import Base\nclass Shop(Base):\n  port: int | None\n  def where(self): ...",
    ).named("shop:Shop")
    assert found is not None
    assert {"environment", "backend_url", "region", "port", "where"} <= {*found.fields, *found.members}
    assert (found.fields["port"], found.is_whole) == ({"int", "None"}, True)


@pytest.mark.parametrize(
    "source",
    [
        "from elsewhere import Base\nclass A(Base):\n  x: int",
        "class A(make_base()):\n  x: int",
        "class A(metaclass=Meta):\n  x: int",
        "@register\nclass A:\n  x: int",
        "class A:\n  x: int\n  def __getattr__(self, name): ...",
        "class A(A):\n  x: int",
    ],
)
def test_a_class_that_may_have_more_is_not_whole(tmp_path: Path, source: str) -> None:
    """What it has is known all the same."""
    found = reader(tmp_path, a=source).named("a:A")
    assert found is not None
    assert (list(found.fields), found.is_whole) == (["x"], False)


def test_attributes_that_methods_set_are_members(tmp_path: Path) -> None:
    """An ordinary class has its attributes from `__init__`."""
    found = reader(tmp_path, a="class A:\n  b = 1\n  def __init__(self):\n    self.c, self.d = 1, 2").named("a:A")
    assert found is not None
    assert found.members == {"b", "c", "d", "__init__"}


def test_what_cannot_be_read_is_none(tmp_path: Path) -> None:
    """No such module, no such class, no Python."""
    read = reader(tmp_path, a="class A: ...", broken="class A(:")
    assert [read.named(dotted) for dotted in ("gone:A", "a:B", "broken:A", "a")] == [None] * 4


@pytest.mark.parametrize(
    ("annotation", "types"),
    [
        ("str", {"str"}),
        ("str | None", {"str", "None"}),
        ("Optional[int]", {"int", "None"}),
        ("typing.Union[int, bool]", {"int", "bool"}),
        ("Mapping[str, Any]", {"dict"}),
        ("Annotated[str, Field(min_length=1)]", {"str"}),
        ("Literal['a', 1]", {"str", "int"}),
        ("'str | None'", {"str", "None"}),
        ("Any", set()),
        ("Url", set()),
        ("str | Url", set()),
        ("'not python('", set()),
    ],
)
def test_an_annotation_says_which_plain_types_fit(annotation: str, types: set[str]) -> None:
    """None at all where a name in it may stand for anything."""
    assert types_of(ast.parse(annotation, mode="eval").body) == types
