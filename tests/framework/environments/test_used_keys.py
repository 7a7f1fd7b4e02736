"""Which keys of a service its kind and its source use."""

from __future__ import annotations

from envmatrix.environments import ServiceSpec, Source
from envmatrix.environments.used_keys import KINDS, SOURCES, kinds_with, sources_with
from envmatrix.services.kinds.registry import get_kind


def test_each_kind_and_source_says_its_keys() -> None:
    """Every source is there, every kind has a driver, and every key that one claims is a key of a service."""
    assert SOURCES.keys() == set(Source)
    assert all(get_kind(kind, "shop") for kind in KINDS)
    assert frozenset().union(*KINDS.values(), *SOURCES.values()) < ServiceSpec.model_fields.keys()


def test_a_key_that_none_claims_is_everybodys() -> None:
    """`required` belongs to all kinds and sources; `options` to kinds of other packages alone."""
    assert kinds_with("required") == tuple(KINDS)
    assert sources_with("required") == tuple(Source)
    assert kinds_with("options") == ()
