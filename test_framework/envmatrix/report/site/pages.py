"""Fill the templates. Every text in them is hostile until proven otherwise: masked, made inert, then escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envmatrix.exceptions import MissingExtraError
from envmatrix.gate import Answer
from envmatrix.masking import MASKER
from envmatrix.report.site import charts
from envmatrix.report.site.facts import EnvironmentFacts, Site
from envmatrix.report.text import inert, middle, seconds

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).with_name("templates")
_LONGEST = 300
"""Characters of a text; the run file has all of it."""
_URGENCY = (Answer.INCOMPATIBLE, Answer.UNKNOWN, Answer.COMPATIBLE)
_FLAKIEST = 10
"""Tests that the index names."""


def index(site: Site) -> str:
    """Return the first page: how each environment is now, what is flaky, and the matrices that there are."""
    flakiest = sorted(
        ((test, facts, timeline) for facts in site.environments for test, timeline in facts.flakiest),
        key=lambda each: -(each[2].flake_rate or 0),
    )
    worst_first = sorted(site.environments, key=lambda facts: _URGENCY.index(facts.verdict.answer))
    return _render("index.html", "", site=site, worst_first=worst_first, flakiest=flakiest[:_FLAKIEST])


def environment(facts: EnvironmentFacts, site: Site) -> str:
    """Return the page of one environment: its runs, its flakiest tests and its slowest."""
    return _render("environment.html", "../", site=site, facts=facts)


def _render(template: str, root: str, **values: object) -> str:
    """Fill a template; `root` leads from its page to the index."""
    return _environment().get_template(template).render(root=root, **values) + "\n"


@cache
def _environment() -> Environment:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
        from markupsafe import Markup
    except ImportError:
        raise MissingExtraError("jinja2", "site") from None
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (_TEMPLATES / "site.css").read_text(encoding="utf-8")
    words: Mapping[str, Any] = {
        "style": Markup(style),  # noqa: S704  our own file
        "style_hash": base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        "charts": charts,
        "seconds": seconds,
    }
    made.globals.update(words)
    return made


def _shown(value: Any) -> Any:
    """Return a value as it may stand in a page: one inert line of bearable length, without secrets."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return middle(inert(MASKER.mask(value)), _LONGEST)
