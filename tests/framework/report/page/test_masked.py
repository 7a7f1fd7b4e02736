"""Masking a whole document: each text is what masking it alone would make, and all else stays byte for byte."""

from __future__ import annotations

import json

import pytest

from envmatrix.masking import MASK, Masker
from envmatrix.report.page import masked as module
from envmatrix.report.page.masked import masked

TEXTS = (
    'Authorization: "Bearer abcdefghijklmnop"',
    "GET http://me:hunter2-pass@host/",
    "GET /login?x=1&token=abcdefgh",
    "\\",
    'he said "secret=hunter2-hunter2" \\" twice',
    '\\\\"cookie: abcdefghijkl"\\',
    "eyJhbGciOi.eyJzdWIi.c2ln",
    "x-api-key = 'é-abcdefgh'",
    "GET /api/threads?limit=50&page=2",
    "\udc80 password=\udc80hunter2",
    "no secret at all",
)


@pytest.mark.fault("canary-secret")
def test_each_text_is_masked_as_it_would_be_alone() -> None:
    """Among others, behind escaped quotes and backslashes, as a key too; what holds nothing is not touched."""
    document = {"a": list(TEXTS), "n": [1, 2.5, None, True], **dict.fromkeys(TEXTS, "value")}
    made = json.loads(masked(json.dumps(document, separators=(",", ":")).encode()))
    mask = Masker().mask
    assert made == {"a": [*map(mask, TEXTS)], "n": [1, 2.5, None, True], **dict.fromkeys(map(mask, TEXTS), "value")}
    assert sum(MASK in text for text in made["a"]) == 8
    clean = b'{"a":["no secret at all","GET /api/threads?limit=50",1.50]}'
    assert masked(clean) == clean


@pytest.mark.fault("canary-secret")
def test_a_known_secret_is_masked_whatever_its_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    """The document stays JSON."""
    masker = Masker()
    masker.add('correct "horse" battery')
    monkeypatch.setattr(module, "MASKER", masker)
    made = masked(json.dumps({"a": 'is it correct "horse" battery?', "correct": 1}).encode())
    assert json.loads(made) == {"a": f"is it {MASK}?", "correct": 1}
