"""`envmatrix monitor`, as a user types it: around a command, and of a run that was sampled."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from xml.etree import ElementTree as ET

import pytest

from envmatrix.runs.events import Attempt, Sample
from envmatrix.runs.outcomes import Outcome
from tests.framework.bare import COMMAND, plain_environment
from tests.framework.commands.test_up import Shop
from tests.framework.project import TINY_TOML, Project
from tests.framework.run_files import RunWriter, footer, header
from tests.framework.services.place import eventually, runs


@pytest.fixture
def shop(project: Project) -> Iterator[Shop]:
    """The project; after the test nothing of it is up."""
    shop = Shop(project.root)
    yield shop
    shop.call("down", "tiny")


def monitor(shop: Shop, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own: it hands its streams to the command that it watches."""
    return shop.run("monitor", "tiny", "--every=0.1s", *words)


def test_a_command_is_watched_and_keeps_its_exit_code(shop: Shop) -> None:
    """The environment is started for it and ended; the report has the services and the command with its children."""
    script = "import time; print('at work', flush=True); time.sleep(0.5); raise SystemExit(7)"
    done = monitor(shop, "--svg=use.svg", "--json", "--", sys.executable, "-c", script)
    assert done.returncode == 7, done.stderr
    said, _, document = done.stdout.partition("\n")
    assert said == "at work"
    usage = json.loads(document)
    assert usage["samples"] >= 3
    assert {each["of"] for each in usage["series"]} == {"backend", "command"}
    assert shop.call("status")[0] == 1, "nothing is left up"
    root = ET.fromstring((shop.root / "use.svg").read_text())
    assert {"cpu", "rss", "backend", "command"} <= {each.text for each in root.iter() if each.text}
    path = done.stderr.strip().removeprefix("Samples: ")
    assert json.loads(shop.call("monitor", "tiny", path, "--json")[1]) == usage


def test_a_crossed_limit_is_the_exit_code_of_a_command_that_went_well(shop: Shop) -> None:
    """Against an environment that is up, which stays up."""
    (shop.root / "environments/tiny.toml").write_text(TINY_TOML.replace("protected", 'max_rss = "1MiB"\nprotected'))
    shop.call("up", "tiny")
    supervisor = shop.status()["supervisor"]
    done = monitor(shop, "--", "true")
    assert done.returncode == 1, done.stderr
    assert "A limit was crossed\n  L406 backend: rss " in done.stdout
    assert shop.status()["supervisor"] == supervisor
    (shop.root / "environments/tiny.toml").write_text(TINY_TOML)
    assert monitor(shop, "--", "true").stderr.startswith("error: tiny is up and stale: tiny.toml has changed")


def test_ctrl_c_ends_the_command_and_shows_the_report(shop: Shop) -> None:
    """A load test is stopped by hand; SIGTERM is passed on in the same way."""
    script = "import os; open('pid', 'w').write(str(os.getpid())); import time; time.sleep(60)"
    command = [*COMMAND, "monitor", "tiny", "--every=0.1s", "--", sys.executable, "-c", script]
    with subprocess.Popen(
        command, cwd=shop.root, env=plain_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        pid = shop.root / "pid"
        assert eventually(lambda: pid.exists() and pid.read_text())
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGTERM, err
    assert out.startswith("tiny: ")
    assert not runs(int(pid.read_text()))


def test_a_run_without_samples_is_not_well(shop: Shop) -> None:
    """It was not run with --sample: nobody knows what it used."""
    writer = RunWriter(shop.root / "run.jsonl")
    for event in (header("tiny", planned=["a"]), Attempt("a", Outcome.PASSED), footer()):
        writer.write(event)
    writer.close()
    assert shop.call("monitor", "tiny", "run.jsonl") == (3, "tiny: no samples\n", "")
    code, _, err = shop.call("monitor", "tiny", "run.jsonl", "--svg=nowhere/use.svg")
    assert (code, err) == (2, "error: nowhere/use.svg cannot be written: No such file or directory\n")


def test_a_cell_is_explained_with_what_was_used_meanwhile(shop: Shop) -> None:
    """Requests, highest values, what the test measured, and what grew over the whole run."""
    writer = RunWriter(shop.root / "run.jsonl")
    requests = {"backend GET /orders/{id}": (1.0, 2.0, 9.0)}
    attempt = Attempt("a", Outcome.PASSED, 2.0, began=50.0, requests=requests, measured={"orders": 12.5})
    samples = [Sample(float(at), 0.0, {"backend": {"rss": (100 + at) * 2.0**20, "cpu": 0.5}}) for at in range(100)]
    for event in (header("tiny", planned=["a"]), attempt, *samples, footer()):
        writer.write(event)
    writer.close()
    code, told, _ = shop.call("explain", "tiny", "a", "run.jsonl")
    assert code == 0
    lines = [" ".join(line.split()) for line in told.splitlines()]
    assert "backend GET /orders/{id} 3 2.0 ms 9.0 ms 9.0 ms 9.0 ms" in lines
    assert "backend 0.50 152.0 MiB" in lines
    assert "orders 12.5" in lines
    assert "backend: rss still grows, by 60.0 MiB a minute (confidence 99.9%, 100 samples)" in lines
    explained = json.loads(shop.call("explain", "tiny", "a", "run.jsonl", "--json")[1])
    assert explained["used"] == {"backend": {"rss": 152 * 2**20, "cpu": 0.5}}


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--every=1m", "--", "true"), "Invalid value for '--every': Value error, '1m' is no time from 0.1s to 60s"),
        (("run.jsonl", "--", "true"), "both a run file, run.jsonl, and a command. Name one of them"),
        (("run.jsonl",), "run.jsonl: cannot be read: No such file or directory"),
        (
            ("--", "no-such-program"),
            "no-such-program cannot be run: No such file or directory. Name a program after --",
        ),
    ],
)
def test_a_mistake_is_one_line(shop: Shop, words: tuple[str, ...], error: str) -> None:
    """It says what to do."""
    code, out, err = shop.call("monitor", "tiny", *words)
    assert (code, out, err) == (2, "", f"error: {error}\n")
