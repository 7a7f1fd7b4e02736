"""The page's own implementation of queries, `page/src/query.ts`, gives the answers that ours gives."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envmatrix.exceptions import QueryError
from envmatrix.matrix.query import select
from envmatrix.matrix.query_grammar import CELL_WORDS, CHANGES, FLAGS
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.matrix.query_samples import comparison_of, matrix_of

PAGE = Path(__file__).parents[3] / "page"
COMPILER = PAGE / "node_modules/.bin/tsc"
ENVIRONMENTS = ("local", "staging", "local+redis_down")

PROGRAM = """
import { createInterface } from "node:readline";
import { compile } from "./query.js";

const PASSED = { outcome: "passed", cause: "", rule: "", services: [], duration: 0, attempts: 1, change: "", text: "", reused: false };
for await (const line of createInterface({ input: process.stdin })) {
  const { query, environments, rows } = JSON.parse(line);
  let answer;
  try {
    const selects = compile(query, environments);
    answer = rows
      .filter(({ test, cells }) => selects({ test, cell: (number) => cells[number] && { ...PASSED, ...cells[number] } }))
      .map(({ test }) => test);
  } catch (error) {
    answer = error.name === "QueryError" ? { at: error.at, message: error.message } : String(error);
  }
  process.stdout.write(JSON.stringify(answer) + "\\n");
}
"""

cells = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "outcome": st.sampled_from([outcome.value for outcome in Outcome]),
        "cause": st.sampled_from([cause.value for cause in Cause]),
        "rule": st.sampled_from(["L401", "I201"]),
        "services": st.lists(st.sampled_from(["redis", "auth"]), unique=True),
        "duration": st.integers(0, 3_000),
        "change": st.sampled_from([kind.value for kind in CHANGES]),
        "text": st.sampled_from(["Redis is down", "assert 4 == 3", "straße"]),
        "reused": st.booleans(),
    },
)
rows = st.fixed_dictionaries(
    {
        "test": st.sampled_from(
            [f"{file}.py::test_{name}" for file in ("a", "tests/b") for name in ("one", "two[x:y]", "Redis")]
        ),
        "cells": st.lists(cells, min_size=3, max_size=3).filter(any),
    }
)
words = st.sampled_from(
    [
        *sorted(CELL_WORDS),
        *FLAGS,
        *(f"{name}:{word}" for name in ENVIRONMENTS for word in ("passed", "failed", "regressed", "reused")),
        *(f"in:{name}" for name in ENVIRONMENTS),
        *("cause:logic", "rule:L401", "requires:redis", "file:tests", "test_", "REDIS", '"is down"', "duration > 1.2s"),
    ]
)
queries = st.recursive(
    words,
    lambda parts: st.one_of(
        st.builds("{} {}".format, parts, parts),
        st.builds("({} or {})".format, parts, parts),
        st.builds("-({})".format, parts),
        st.builds("count({}) {} {}".format, parts, st.sampled_from(["<", "<=", "=", ">=", ">"]), st.integers(0, 3)),
    ),
    max_leaves=8,
)
typed = st.lists(
    st.one_of(words, st.sampled_from([*'()|!-<>=":', "or", "not", "count(", " ", "in:", "lokal:", "2s"]))
).map("".join)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Mapping[str, Any]], Any]]:
    """The page's implementation, in a process of Node that answers a line with a line."""
    node = shutil.which("node")
    if node is None or not COMPILER.exists():
        pytest.skip("Node, or page/node_modules, is missing: npm ci in page/ makes it")
    directory = tmp_path_factory.mktemp("page")
    options = ("--target", "ES2022", "--module", "ES2022", "--outDir", str(directory))
    subprocess.run([COMPILER, *options, PAGE / "src/query.ts"], cwd=directory, check=True, timeout=60)
    (directory / "package.json").write_text('{"type": "module"}')
    (directory / "program.js").write_text(PROGRAM)
    with subprocess.Popen(
        [node, directory / "program.js"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stdin
        assert process.stdout

        def ask(question: Mapping[str, Any]) -> Any:
            print(json.dumps(question), file=process.stdin, flush=True)
            return json.loads(process.stdout.readline())

        yield ask
        process.stdin.close()


def ours(query: str, rows: list[dict[str, Any]]) -> list[str] | QueryError:
    """The answer of the command line."""
    try:
        selected = select(matrix_of(ENVIRONMENTS, rows), query, comparison_of(ENVIRONMENTS, rows))
    except QueryError as error:
        return error
    return [row.test for row in selected.rows]


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(query=st.one_of(queries, typed), rows=st.lists(rows, min_size=3, max_size=6, unique_by=lambda row: row["test"]))
def test_the_page_gives_the_same_answer(
    page: Callable[[Mapping[str, Any]], Any], query: str, rows: list[dict[str, Any]]
) -> None:
    """The same tests, or the same mistake at the same place; only the nearest spelling may be another."""
    answer = page({"query": query, "environments": ENVIRONMENTS, "rows": rows})
    expected = ours(query, rows)
    if isinstance(expected, QueryError):
        assert (answer["at"], answer["message"][: len(expected.what)]) == (expected.at, expected.what)
    else:
        assert answer == expected
