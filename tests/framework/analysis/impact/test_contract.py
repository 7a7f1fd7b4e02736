"""What became of a contract's fields, and the version that calls for."""

from __future__ import annotations

import pytest

from envmatrix.analysis.impact import FileChange
from envmatrix.analysis.impact.contract import bump, field_changes

OLD = (
    b"class Base:\n    environment: str\nclass Mine(Base):\n    url: str | None\n    _used: int\n    def f(self): ...\n"
)
VERSION = FileChange("v.py", "v.py", b'CONTRACT_VERSION = "1.4.2"\n', b'CONTRACT_VERSION = "2.0.0"\n')


def changed(new: bytes) -> FileChange:
    """That class, as it is now."""
    return FileChange("c.py", "c.py", OLD, new)


@pytest.mark.parametrize(
    ("old", "new", "said", "needed"),
    [
        (b"    url:", b"    more: int\n    url:", "Mine.more is added", "1.5.0"),
        (b"    url: str | None\n", b"", "Mine.url is removed", "2.0.0"),
        (b"str | None", b"str", "Mine.url is retyped, str | None → str", "2.0.0"),
        (b"environment: str", b"place: str", "Mine.environment is removed", "2.0.0"),
    ],
)
def test_a_field_calls_for_its_version(old: bytes, new: bytes, said: str, needed: str) -> None:
    """Added is minor; removed or retyped is major, an inherited field too."""
    change = changed(OLD.replace(old, new))
    fields = list(field_changes(change, ["Mine"]))
    assert str(fields[0]) == said
    wanted = bump(fields, [change], "1.4.2")
    assert wanted is not None
    assert (wanted.before, wanted.needed, wanted.is_done) == ("1.4.2", needed, False)


def test_a_version_that_was_raised_is_enough() -> None:
    """The same diff may raise it."""
    fields = list(field_changes(changed(b"class Mine:\n    pass\n"), ["Mine"]))
    wanted = bump(fields, [VERSION], "2.0.0")
    assert wanted is not None
    assert (wanted.before, wanted.now, wanted.is_done) == ("1.4.2", "2.0.0", True)


def test_methods_and_private_names_are_no_fields() -> None:
    """They are nothing that a test was promised."""
    change = changed(OLD.replace(b"_used: int\n    def f(self): ...", b"def g(self): ..."))
    assert list(field_changes(change, ["Mine"])) == []
    assert bump([], [change], "1.0.0") is None
