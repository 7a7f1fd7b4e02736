"""The registry for a terminal: a line a fixture, or all facts about one."""

from __future__ import annotations

from collections.abc import Iterator

from envmatrix.analysis.index.registry import Provider, Registry
from envmatrix.report.registry import words
from envmatrix.report.text import inert


def as_text(registry: Registry, name: str = "") -> str:
    """Return every fixture on a line, or the one of this name in full."""
    lines = _of(name, registry) if name else _all(registry)
    return "".join(f"{line}\n" for line in lines)


def _all(registry: Registry) -> Iterator[str]:
    rows = [
        (inert(each.name), words.scope(each), inert(words.where(each)), str(len(each.users)), inert(each.document))
        for each in registry.providers
    ]
    head = ("fixture", "scope", "provided by", "tests", "")
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(4)]
    for row in (head, *rows):
        cells = (
            f"{cell:{'>' if column == len(widths) - 1 else ''}{widths[column]}}" for column, cell in enumerate(row[:4])
        )
        yield f"{'  '.join(cells)}  {row[4]}".rstrip()


def _of(name: str, registry: Registry) -> Iterator[str]:
    providers = registry.by_name[name]
    yield f"{inert(name)}: {len(providers)} provider{'s'[: len(providers) != 1]}"
    for provider in providers:
        yield ""
        yield inert(words.where(provider))
        for word, text in _facts(provider):
            yield f"  {word:9}{inert(text)}"


def _facts(provider: Provider) -> Iterator[tuple[str, str]]:
    if provider.document:
        yield "meaning", provider.document
    yield "scope", words.scope(provider)
    yield "seen", words.seen_from(provider)
    yield "yields", provider.yields or "what its source does not show"
    yield "needs", ", ".join(provider.needs) or "nothing"
    yield "used by", words.used_by(provider.users)
