"""A protected path, requested with a token, shows whether a service works, and whether its clock is right."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest
from pydantic import SecretStr

from envmatrix.environments import ServiceSpec, Source
from envmatrix.services import get_kind
from envmatrix.services.probes.access import Access, ask_protected
from tests.framework.services.servers import fake, says


def asked(date: str) -> Access:
    """The answer of a service that refuses every token, with this Date."""
    head = f"Date: {date}\r\n" if date else ""
    answer = f"HTTP/1.1 401 Unauthorized\r\n{head}Content-Length: 0\r\n\r\n"
    with fake(says(answer.encode())) as port:
        url = f"http://127.0.0.1:{port}"
        spec = ServiceSpec(name="backend", kind="http", source=Source.REMOTE, url=SecretStr(url), protected="/me")
        return ask_protected(spec, get_kind("http").connect(spec, url), {"Authorization": "Bearer x"})


@pytest.mark.fault("clock-skew-token")
@pytest.mark.parametrize(("seconds", "words"), [(3600, "s ahead of ours"), (-90, "s behind ours")])
def test_a_clock_that_is_wrong_is_measured_and_named(seconds: int, words: str) -> None:
    """By the Date of the answer that refuses the token: it was issued by one clock and is checked by another."""
    access = asked(formatdate(time.time() + seconds, usegmt=True))
    assert access.is_refused
    assert access.skew == pytest.approx(seconds, abs=3)
    assert access.wrong_clock.startswith("the clock of backend is ")
    assert access.wrong_clock.endswith(words)


@pytest.mark.parametrize("date", ["", "yesterday", "now"])
def test_a_right_clock_or_none_is_not_named(date: str) -> None:
    """A server need not tell the time, and a second's difference is none."""
    assert asked(formatdate(usegmt=True) if date == "now" else date).wrong_clock == ""
