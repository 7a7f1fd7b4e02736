"""Findings as SARIF 2.1.0, which GitHub's code scanning and editors read: https://docs.oasis-open.org/sarif/sarif/v2.1.0/ ."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

from envmatrix.analysis.audit.audit import AuditResult
from envmatrix.analysis.audit.baseline import KnownFinding
from envmatrix.analysis.audit.findings import AuditFinding
from envmatrix.analysis.audit.rules.catalog import ALL, page
from envmatrix.analysis.audit.rules.rule import AuditRule
from envmatrix.report.audit.text import checkout, prefix
from envmatrix.report.text import inert, middle

_DIALECT = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LONGEST = 1000
"""Characters of a message: what GitHub shows of it."""
_NAMED = 10
_ROOT = "%SRCROOT%"


def render(audit: AuditResult) -> str:
    """Return the log, ASCII only."""
    counts: Counter[KnownFinding] = Counter()
    before = prefix(audit.root, checkout())
    rules = {rule.code: number for number, rule in enumerate(ALL)}
    run = {
        "tool": {
            "driver": {
                "name": "envmatrix",
                "version": version("envmatrix"),
                "rules": [_rule(each) for each in ALL],
            }
        },
        "columnKind": "utf16CodeUnits",
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The checkout."}}},
        "results": [_result(each, before, rules[each.code], counts) for each in audit.findings],
    }
    return json.dumps({"$schema": _DIALECT, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(rule: AuditRule) -> dict[str, Any]:
    return {
        "id": rule.code,
        "name": "".join(word.capitalize() for word in rule.name.split("-")),
        "shortDescription": {"text": rule.name},
        "fullDescription": {"text": rule.summary},
        "help": {"text": rule.summary, "markdown": page(rule.code)},
        "defaultConfiguration": {"level": "warning"},
    }


def _result(each: AuditFinding, before: str, number: int, counts: Counter[KnownFinding]) -> dict[str, Any]:
    entry = KnownFinding.of(each)
    counts[entry] += 1  # a finding that is there twice is two
    print_ = "\0".join((entry.path, entry.code, entry.message, str(counts[entry])))
    return {
        "ruleId": each.code,
        "ruleIndex": number,
        "level": "warning",
        "message": {"text": middle(inert(each.message + (f". {each.hint}" if each.hint else "")), _LONGEST)},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {
                        "uri": quote((before + each.path).encode(errors="backslashreplace")),
                        "uriBaseId": _ROOT,
                    },
                    "region": {"startLine": max(each.line, 1), "startColumn": max(each.column, 1)},
                }
            }
        ],
        "partialFingerprints": {
            "envmatrixFinding/v1": hashlib.sha256(print_.encode(errors="backslashreplace")).hexdigest()
        },
        "properties": {
            "affectedTests": len(each.tests),
            "firstTests": [middle(inert(test), _LONGEST) for test in each.tests[:_NAMED]],
            **({"masked": inert(each.masked)} if each.masked else {}),
        },
    }
