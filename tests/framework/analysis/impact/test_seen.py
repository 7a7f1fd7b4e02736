"""A change followed by reading as far as functions that tests were seen to run."""

from __future__ import annotations

import pytest

from envmatrix.analysis.impact import Evidence, FileChange, Impact, impact
from envmatrix.analysis.source.parts.parsing import parse_to_compare
from tests.framework.analysis.impact.small import LOCAL, make_tree, names, text, why

RATES, ORDERS, REPORT, SUITE = "shop/rates.py", "shop/orders.py", "shop/report.py", "tests/e2e/test_shop.py"
FILES = {
    "shop/__init__.py": "",
    RATES: """
        from functools import cache

        @cache
        def rate(): return 2

        def tax(): return rate()

        def unused(): return rate()
        """,
    ORDERS: """
        from shop.rates import tax

        def total(): return tax()

        LISTED = [total]
        """,
    REPORT: "from shop.rates import unused",
    SUITE: """
        from shop.orders import LISTED, total
        import shop.report

        def test_taxed(): total()
        def test_other(): LISTED
        def test_new(): LISTED[0]()
        """,
}


def of(edit: tuple[str, str], imports: dict[str, str] | None = None, shared: tuple[str, ...] = ("rate",)) -> Impact:
    """The impact of a change of the rates, where two of three tests were seen; one filled the cache, or found it full."""
    ran = {
        "test_taxed": {(SUITE, "test_taxed"), (ORDERS, "total")}
        | ({(RATES, "tax")} - {(RATES, each) for each in shared}),
        "test_other": {(SUITE, "test_other")},
    }
    old = text(FILES[RATES])
    new = old.decode().replace(*edit)
    parts = {path: parse_to_compare(text(FILES[path])).parts for path in (RATES, ORDERS, SUITE)}
    functions = {(RATES, name) for name in shared}.union(*ran.values())
    evidence = Evidence(
        "c0ffee",
        {f"{SUITE}::{test}": frozenset(functions) for test, functions in ran.items()},
        {(path, name): parts[path][name].digest for path, name in functions},
        {path: frozenset({(RATES, name)}) for path, name in (imports or {}).items()},
        frozenset((RATES, name) for name in shared),
    )
    tree = make_tree(FILES | {RATES: new})
    return impact([FileChange(RATES, RATES, old, new.encode())], tree, [LOCAL], evidence={"local": evidence})


def test_what_ran_for_no_test_alone_concerns_who_ran_its_users() -> None:
    """Whoever finds a cache full ran the function that asked it, and a test that was not seen is still read."""
    found = of(("return 2", "return 3"))
    assert names(found) == {"local": {"test_taxed", "test_new"}}
    assert why(found, "test_taxed") == ("rate of shop/rates.py is changed, used by tax, which it ran at commit c0ffee")


def test_a_user_that_ran_for_no_test_alone_is_read_on() -> None:
    """A cache below a cache: who asked the outer one is to be found."""
    assert names(of(("return 2", "return 3"), shared=("rate", "tax"))) == {"local": {"test_taxed", "test_new"}}


@pytest.mark.parametrize(
    ("file", "selected"),
    [(SUITE, {"test_taxed", "test_other", "test_new"}), (REPORT, {"test_taxed", "test_other", "test_new"})],
)
def test_what_an_import_ran_concerns_all_who_import_that(file: str, selected: set[str]) -> None:
    """Directly or not."""
    assert names(of(("return rate()", "return 1"), imports={file: "tax"}, shared=())) == {"local": selected}


def test_what_a_class_of_tests_inherits_concerns_all_of_them() -> None:
    """A test that found the cache of its base full has named neither of them."""
    path, suite = "shop/base.py", "tests/e2e/test_base.py"
    old = text("""
        from functools import cache

        class Base:
            @cache
            def kept(): return 1
        """)
    source = (
        "from shop.base import Base\n\nclass TestIt(Base):\n    def test_it(self): self.kept()\n\ndef test_other(): ..."
    )
    tests = {"TestIt.test_it": f"{suite}::TestIt::test_it", "test_other": f"{suite}::test_other"}
    kept = path, "Base.kept"
    evidence = Evidence(
        "c0ffee",
        {test: frozenset({(suite, name)}) for name, test in tests.items()},
        {(suite, name): "" for name in tests} | {kept: parse_to_compare(old).parts["Base.kept"].digest},
        shared=frozenset({kept}),
    )
    new = old.replace(b"return 1", b"return 2")
    tree = make_tree({"shop/__init__.py": "", path: new.decode(), suite: source})
    found = impact([FileChange(path, path, old, new)], tree, [LOCAL], evidence={"local": evidence})
    assert names(found) == {"local": {"test_it"}}
