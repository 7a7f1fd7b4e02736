"""A small page with made-up data: three environments, two files of forty tests, every kind of text that misleads."""

from __future__ import annotations

import base64
import gzip
import json
from importlib import resources
from typing import Any

HOSTILE = 'test_name[<img src=x onerror=alert(1)>\x1b[31m\u202eexe.gnp\ud800\n"]'
FAILED = "test_39"
ROWS = 40
FILES = ("tests/test_login.py", "tests/test_agents.py")
NAMES = [HOSTILE, *(f"test_{row}" for row in range(1, ROWS)), *(f"test_agent_{row}" for row in range(ROWS))]


def page() -> str:
    """Return the built page with the data in it, as the report embeds it."""
    template = resources.files("envmatrix.report").joinpath("page/page.html").read_text(encoding="utf-8")
    parts = {"page": _page(), "grid": _grid(), "time": _time(), "details-0": {"1": {"39": _explanation()}}}
    chunks = (f'<script type="application/gzip" id="{name}">{_packed(part)}</script>' for name, part in parts.items())
    return template.replace("<!--chunks-->", "\n".join(chunks))


def _packed(part: Any) -> str:
    return base64.b64encode(gzip.compress(json.dumps(part).encode(), mtime=0)).decode()


def _page() -> dict[str, Any]:
    problem = {
        "environments": [1],
        "outcome": "failed",
        "cause": "infrastructure",
        "rule": "I301",
        "summary": f"redis is down: {HOSTILE}",
        "place": "tests/test_login.py:7",
        "remedy": "",
        "findings": [],
    }
    difference = {
        "service": "redis",
        "aspect": "version",
        "name": "",
        "values": ["9.1", "8.0", "9.1"],
        "correlations": [],
    }
    return {
        "schema": 1,
        "title": "commit 1a2b3c4d5e6f, 2026-12-01 10:00:00 UTC",
        "made_at": "2026-12-01T10:00:00Z",
        "version": "0.1.0",
        "environments": [_environment("local"), _environment("staging", failed=True), _environment("backend")],
        "problems": [{"rows": [39], "cells": [problem]}],
        "asides": [{"environments": [0], "outcome": "skipped", "reason": HOSTILE, "rows": [2]}],
        "advice": [["infrastructure", "look at the named service first"]],
        "rules": {
            "I301": {
                "title": "a used service is down",
                "cause": "infrastructure",
                "meaning": "A look right after the test saw it down.",
                "remedy": "",
                "page": "",
            }
        },
        "differences": [difference],
        "numbers": [{"row": 3, "environment": 0, "name": "first_token_ms", "value": 4, "median": 2, "worse": True}],
        "against": {"title": "the baseline", "name": "baseline"},
        "tests": len(NAMES),
        "blocks": 1,
    }


def _environment(name: str, *, failed: bool = False) -> dict[str, Any]:
    answer = "incompatible" if failed else "compatible"
    service = {
        "name": "redis",
        "source": "stub",
        "version": "9.1",
        "identity": {},
        "status": "down" if failed else "up",
    }
    return {
        "name": name,
        "label": f"{name} (twin)" if failed else name,
        "answer": answer,
        "reasons": [{"code": "failed", "text": "1 test failed", "calls_for": answer, "tests": [39]}] if failed else [],
        "run_id": "20261201T100000",
        "complete": True,
        "commit": "1a2b3c4d5e6f",
        "dirty": False,
        "started_at": "2026-12-01T10:00:00Z",
        "duration": 4000,
        "versions": {"Python": "3.13.1"},
        "services": [service | {"latency": None if failed else 1.5}],
        "findings": [],
        "unexercised": [],
        "log_tail": "",
        "rerun": {"before": f"envmatrix run {name} -- ", "after": ""},
    }


def _grid() -> dict[str, Any]:
    return {
        "files": [[name, ROWS, ""] for name in FILES],
        "names": NAMES,
        "workers": ["gw0"],
        "services": [[], ["redis"]],
        "texts": [f"redis is down: {HOSTILE}"],
        "rules": ["I301"],
        "columns": [_column(), _column(failed=True), _column()],
        "gone": [{"test": "tests/test_old.py::test_gone", "outcomes": "ppp"}],
    }


def _column(*, failed: bool = False) -> dict[str, Any]:
    tests = len(NAMES)
    before = "p" * tests
    outcomes = before[:39] + ("f" if failed else "p") + before[40:]
    return {
        "outcomes": outcomes,
        "causes": "".join("i" if outcome == "f" else " " for outcome in outcomes),
        "durations": [row + 1 for row in range(tests)],
        "began": [row * 50 for row in range(tests)],
        "worker": [0] * tests,
        "services": [row % 2 for row in range(tests)],
        "reused": [],
        "reused_at": [],
        "rows": [39] if failed else [],
        "text": [0] if failed else [],
        "rule": [0] if failed else [],
        "attempts": [1] if failed else [],
        "block": [0] if failed else [],
        "history_rows": [39],
        "history": ["ppfpp"],
        "changes": "".join("r" if outcome == "f" else " " for outcome in outcomes),
        "before": before,
        "before_causes": " " * tests,
    }


def _explanation() -> dict[str, Any]:
    looks = {"before": "up", "before_status": "up", "after": "down: connection refused", "after_status": "down"}
    return {
        "environment": "staging",
        "headline": "failed in staging (twin)",
        "summary": f"redis is down: {HOSTILE}",
        "phase": "call",
        "place": "tests/test_login.py:7",
        "worker": "gw0",
        "attempts": [],
        "alike": [],
        "alike_more": 0,
        "parts": [],
        "exceptions": ["ConnectionError: refused"],
        "moments": ["before", "right after"],
        "services": [{"service": "redis", "source": "stub", "latency": None, "claims": "", **looks}],
        "exchanges": [f"GET {HOSTILE} 500"],
        "used": {},
        "requests": {},
        "measured": {},
        "growing": [],
        "limits": [],
        "logs": {"redis": HOSTILE},
        "detail": HOSTILE,
        "rule": None,
        "next": ["Look at redis first."],
        "rerun": "",
        "run": None,
    }


def _time() -> dict[str, Any]:
    series = {"of": "redis", "metric": "rss", "points": [[0, 5e6], [1000, 6e6], [2000, 7e6]]}
    sampled = {"services": [{"name": "redis", "began": 0, "ready": 40}], "series": [series], "growing": []}
    return {"environments": [sampled, sampled | {"series": []}, sampled | {"series": []}]}
