"""The `[pytest]` table of a declaration."""

from __future__ import annotations

from pathlib import Path

import pytest

from envmatrix.environments import PytestTable
from tests.framework.environments.declare import declare, load, refusal

REDIS = '[services.redis]\nkind = "redis"\nsource = "embedded"\n[services.mail]\nkind = "http"\nsource = "absent"\n[pytest]\n'


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ('args = ["--url={rediss.url}"]', "local.toml:8: {rediss.url} names no service. Did you mean 'redis'?"),
        ('env = { URL = "{redis.uri}" }', "local.toml:8: {redis.uri}: a service has no 'uri'. Did you mean 'url'?"),
        ('arg = ["-x"]', "local.toml:8: unknown key 'arg' in pytest. Did you mean 'args'?"),
        ('args = "-x"', 'local.toml:8: pytest.args is a list. Write ["…"]'),
        ('args = ["-pno:xdist"]', "local.toml:8: pytest.args: pytest acts on -pno:xdist before it gets these"),
        ('args = ["--rootdir=x"]', "local.toml:8: pytest.args: pytest acts on --rootdir before it gets these"),
        ('args = ["--matrix-shard=1/2"]', "local.toml:8: pytest.args: pytest acts on --matrix-shard before it gets"),
    ],
)
@pytest.mark.fault("typo-key")
def test_a_wrong_table_is_one_line(table: str, told: str, tmp_path: Path) -> None:
    """With the line, and the nearest right spelling."""
    assert told in refusal(tmp_path, REDIS + table)


def test_what_it_names_is_given_unless_it_is_absent(tmp_path: Path) -> None:
    """An absent service fills its blanks with nothing, as everywhere."""
    declare(tmp_path, REDIS + 'args = ["--url={redis.url}", "{python}"]\nenv = { MAIL = "{mail.url}" }')
    environment = load(tmp_path)
    assert environment.pytest.references == {"redis", "mail"}
    assert environment.given == {"redis"}
    words, variables = environment.pytest.filled(lambda name, field: f"<{name} {field}>")
    assert (words, variables) == (["--url=<redis url>", "<python >"], {"MAIL": "<mail url>"})


@pytest.mark.fault("canary-secret")
def test_it_is_shown_as_written(tmp_path: Path) -> None:
    """What fills in the blank of an argument may be a secret, a variable's value is one."""
    declare(tmp_path, REDIS + 'args = ["--url=${URL}"]\nenv = { TOKEN = "${OTHER}" }')
    environment = load(tmp_path, URL="redis://:s3cret-canary@host:1/0", OTHER="s3cret-other")
    assert environment.pytest.args == ("--url=redis://:s3cret-canary@host:1/0",)
    assert {"s3cret-canary", "s3cret-other"} <= set(environment.secrets())
    assert environment.masked()["pytest"]["args"] == ["--url=${URL}"]
    assert "s3cret" not in str(environment.masked())


@pytest.mark.parametrize(
    ("markers", "given", "both"),
    [("", "", ""), ("a", "", "a"), ("", "b", "b"), ("a or c", "not b", "(a or c) and (not b)")],
)
def test_an_expression_selects_among_the_declared_tests(markers: str, given: str, both: str) -> None:
    """Either alone stays as it is."""
    assert PytestTable(markers=markers).selecting(given) == both
