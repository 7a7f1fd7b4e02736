"""The registry as a table of Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from envmatrix.analysis.index.registry import Provider, Registry
from envmatrix.report.markdown import code
from envmatrix.report.registry import words


def as_markdown(registry: Registry, name: str = "", *, is_page: bool = False) -> str:
    """Return every fixture, or those of one name, a row each.

    A page that is kept says neither lines nor numbers of tests: these change with every commit.
    """
    head = ["fixture", "scope", "yields", "needs", "provided by", "meaning"]
    head[5:5] = [] if is_page else ["tests"]
    lines = [head, ["---"] * len(head)]
    lines += [list(_row(each, is_page=is_page)) for each in registry.providers if name in {"", each.name}]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _row(provider: Provider, *, is_page: bool) -> Iterator[str]:
    yield _code(provider.name)
    yield words.scope(provider)
    yield _code(provider.yields)
    yield ", ".join(map(_code, provider.needs))
    yield _code(provider.path if is_page and provider.path else words.where(provider))
    if not is_page:
        yield str(len(provider.users))
    yield _code(provider.document) if provider.document and not _is_plain(provider.document) else provider.document


def _code(text: str) -> str:
    return code(text, in_table=True) if text else ""


def _is_plain(text: str) -> bool:
    """Return whether Markdown and HTML would show it as it is, but for whole spans of code."""
    outside, inside = text.split("`")[::2], text.split("`")[1::2]
    is_whole = len(outside) == len(inside) + 1 and all(inside)
    return is_whole and text.isprintable() and not set("".join(outside)) & set("<>|\\[]*_&#") and "|" not in text
