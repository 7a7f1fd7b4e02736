"""`envmatrix config` and the options that change a declaration for one run, as a user types them."""

from __future__ import annotations

import json
from contextlib import chdir
from pathlib import Path

import pytest

from envmatrix.__main__ import main
from envmatrix.runs.file import read_run
from tests.framework.bare import Bare

STAGING = """\
    extends = "_base.toml"
    description = "${WHERE}"
    [services.redis]
    url = "redis://:${REDIS_PASSWORD}@h"
"""


@pytest.fixture
def shop(bare: Bare) -> Bare:
    """A project whose `staging` extends a file."""
    bare.write("environments/_base.toml", "[services.redis]\nkind = 'redis'\nsource = 'absent'\n")
    bare.write("environments/staging.toml", STAGING)
    bare.write("shop.env", "REDIS_PASSWORD=k4nary-of-shop\nWHERE=ours\n")
    return bare


def called(root: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run a command in this process: exit code, output, standard error."""
    with chdir(root), pytest.raises(SystemExit) as exit_:
        main(words)
    return int(exit_.value.code or 0), *capsys.readouterr()


@pytest.mark.fault("canary-secret")
def test_it_prints_each_value_with_its_origin(
    shop: Bare, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the words that `--set` takes, secrets masked; nothing is started."""
    monkeypatch.setenv("WHERE", "theirs")
    words = ("config", "staging", "--env-file", "shop.env", "--set", "services.redis.ping_deadline=1")
    code, out, _ = called(shop.root, capsys, *words)
    assert code == 0
    lines = dict(line.split("  # ", 1) for line in out.splitlines() if "  # " in line)
    origins = {key.rstrip(): origin for key, origin in lines.items()}
    assert origins['description = "theirs"'] == "environments/staging.toml:2, WHERE: environment"
    assert origins['services.redis.kind = "redis"'] == "environments/_base.toml:2"
    assert origins['services.redis.url = "redis://:**********@h"'].endswith("staging.toml:4, REDIS_PASSWORD: env file")
    assert origins["services.redis.ping_deadline = 1.0"] == "--set services.redis.ping_deadline"
    assert origins["production = false"] == "default"
    code, out, _ = called(shop.root, capsys, *words, "--json")
    values = {".".join(each["keys"]): each for each in json.loads(out)["values"]}
    assert values["services.redis.kind"] == {
        "keys": ["services", "redis", "kind"],
        "value": "redis",
        "file": "environments/_base.toml",
        "line": 2,
        "variables": {},
    }
    assert "k4nary" not in out


@pytest.mark.fault("hostile-test-name")
def test_what_a_declaration_says_is_inert(shop: Bare, capsys: pytest.CaptureFixture[str]) -> None:
    """Escape sequences and commands of CI logs stay text."""
    code, out, _ = called(shop.root, capsys, "config", "local", "--set", 'description="\\u001b[31m ::error::x"')
    assert code == 0
    assert "\x1b" not in out
    assert "::error::" not in out


@pytest.mark.fault("typo-environment", "unknown-key", "unset-variable")
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("config", "_base"), "error: no environment '_base' in "),
        (("config", "staging"), "staging.toml:4: variable REDIS_PASSWORD is not set"),
        (
            ("health", "local", "--set", "services.rediss.url=x"),
            "error: --set services.rediss.url: no service 'rediss'",
        ),
        (("up", "local", "--set", "x"), "error: --set 'x' is not KEY=VALUE"),
        (("matrix", "local", "--set", "x"), "error: --set 'x' is not KEY=VALUE"),
        (("validate", "local", "--set", "x"), "error: --set 'x' is not KEY=VALUE"),
        (("drift", "local", "staging", "--live", "--set", "x"), "error: --set 'x' is not KEY=VALUE"),
        (("monitor", "local", "--set", "x", "--", "true"), "error: --set 'x' is not KEY=VALUE"),
        (("vacuity", "local", "--set", "x"), "error: --set 'x' is not KEY=VALUE"),
        (("run", "local", "--as", "staging"), "error: --as staging would pass for the declared environment"),
        (
            ("matrix", "local", "--set", "production=true", "--impacted-since", "HEAD"),
            "--impacted-since and --set exclude each other",
        ),
    ],
)
def test_what_is_wrong_is_one_line(
    shop: Bare, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], line: str
) -> None:
    """Every command that loads a declaration takes `--set`, and refuses a wrong one with exit code 2."""
    code, _, err = called(shop.root, capsys, *words)
    assert code == 2
    assert line in err
    assert err.count("\n") == 1


def test_a_run_under_another_name_is_so_in_every_report(shop: Bare) -> None:
    """Its run file, the matrix, `explain` and the pasted command; the gate knows whose it is."""
    ended = shop.run("run", "local", "--as", "pr-123", "--set", "description=of the pull request", "--json")
    assert ended.returncode == 0, ended.stderr
    (entry,) = json.loads(ended.stdout)["environments"]
    assert (entry["name"], entry["label"], entry["judged_as"]) == ("pr-123", "pr-123", "local")
    assert read_run(shop.last / "pr-123.jsonl").header.base == "local"
    explained = shop.run("explain", "pr-123", "test_a")
    assert "envmatrix run local --set 'description=of the pull request' --as pr-123 -- " in explained.stdout
