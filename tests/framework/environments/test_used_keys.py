"""Which keys of a service its kind and its source use."""

from __future__ import annotations

from envmatrix.environments import ServiceSpec, Source
from envmatrix.environments.used_keys import KINDS, SOURCES, kinds_with, sources_with, unused_keys
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


def test_what_is_said_of_certificates_does_nothing_without_any() -> None:
    """A file of one, and `verify = false`, are mistakes beside an http:// URL; what holds anyway is none."""
    keys = {"client_cert": "c", "client_key": "k", "ca_file": "a", "verify": True}
    for scheme, unused in (("http", ["ca_file", "client_cert", "client_key"]), ("https", [])):
        spec = ServiceSpec(name="shop", kind="http", source=Source.REMOTE, url=f"{scheme}://h", **keys)
        assert [key for key, _ in unused_keys(spec)] == unused
