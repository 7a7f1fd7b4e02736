"""Nothing that a run writes or prints holds a secret, wherever a test puts it."""

import base64
import json
import re
import urllib.parse
from pathlib import Path

import pytest

from envmatrix.masking import MASK
from tests.framework.project import Project, make_project

CANARY = "k4nary+S3cret/with'odd\"chärs"
OTHER = "other-k4nary-0123456789"
SUITE = """
import base64, json, logging, os, subprocess, sys, urllib.parse, warnings
import pytest

SECRET = os.environ["SHOP_API_KEY_V2"]
OTHER = os.environ["SHOP_PASSPHRASE"]

@pytest.fixture(params=[SECRET, OTHER])
def key(request):
    return request.param

@pytest.mark.parametrize("value", [SECRET, OTHER, SECRET.encode()])
def test_values(value): pass

@pytest.mark.parametrize("value", [1, 2], ids=[SECRET, OTHER])
def test_ids(value): pass

@pytest.mark.parametrize("value", [pytest.param(1, id=OTHER), 2], ids=lambda value: SECRET)
def test_names(value): assert OTHER in os.environ.values()

def test_fixture(key):
    print("out", key, base64.b64encode(b"x" + key.encode()).decode())
    logging.getLogger("shop").error("log %r", key)
    assert key == OTHER

@pytest.mark.filterwarnings("default")
def test_warns(): warnings.warn(f"the key is {SECRET!r}")

def test_properties(record_property, record_testsuite_property, record_xml_attribute):
    record_property("key", SECRET)
    record_testsuite_property("all", {"key": SECRET})
    record_xml_attribute("shop", OTHER)

def test_process():
    subprocess.run([sys.executable, "-c", "import sys; sys.exit(sys.argv[1])", SECRET], check=True)

def test_long():
    whole = "x" * 100 + SECRET * 20
    assert whole == SECRET * 10

def test_url(real_services):
    client = real_services.http_client_sync
    cookies = {"session": OTHER}
    client.get("/me", params={"token": SECRET}, headers={"X-Shop": OTHER}, cookies=cookies).raise_for_status()
    raise RuntimeError(f"{urllib.parse.quote_plus(SECRET)} {json.dumps(SECRET)} {SECRET.encode()!r} {cookies}")

def test_part(subtests):
    with subtests.test(OTHER, key=SECRET):
        print(SECRET)
        assert len(OTHER) == 0

def test_stops(): pytest.exit(f"no more of {OTHER}")
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    """A project whose service knows the secret, too."""
    project = make_project(pytester)
    toml = project.root / "environments/tiny.toml"
    declaration = toml.read_text().replace("env = {", 'env = { SHOP_KEY = "${SHOP_API_KEY_V2}",')
    toml.write_text(declaration.replace('"{backend.port}"]', '"{backend.port}", "${SHOP_PASSPHRASE}"]'))
    project.write("test_a.py", SUITE)
    project.write("test_b.py", "import os\nraise RuntimeError(os.environ['SHOP_PASSPHRASE'])\n")
    return project


@pytest.mark.fault("canary-secret")
@pytest.mark.parametrize("workers", ["0", "2"])
def test_no_byte_that_a_run_writes_is_of_a_secret(
    project: Project, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    """In locals, argv, URLs, headers, cookies, base64, exceptions, the process environment: it is nowhere, in no form.

    Seconds, for two runs of pytest with a service; the second runs a test by its masked name.
    """
    monkeypatch.setenv("SHOP_API_KEY_V2", CANARY)
    monkeypatch.setenv("SHOP_PASSPHRASE", OTHER)
    sources = {path: path.stat().st_mtime for path in project.root.rglob("*") if path.is_file()}
    options = ("--showlocals", "-rA", "-v", "--durations=0", "--junit-xml=junit.xml", "--log-file=all.log")
    result = project.pytest("-n", workers, *options, "--continue-on-collection-errors", "-o", "junit_family=xunit1")
    written = {path: path.read_bytes() for path in project.root.rglob("*") if path.is_file() and path not in sources}
    assert {"run.jsonl", "junit.xml", "all.log", "lastfailed", "nodeids"} <= {path.name for path in written}
    for name, data in {**written, "out": result.stdout.str().encode(), "err": result.stderr.str().encode()}.items():
        if Path(name).suffix != ".pyc":
            assert secrets_in(data) == [], name
    assert MASK in project.run_file.read_text()
    assert len(project.run.cells) >= 12  # in one process, `pytest.exit` ends the run
    project.pytest(f"test_a.py::test_values[{MASK}1]").assert_outcomes(passed=1)


@pytest.mark.fault("canary-secret")
@pytest.mark.parametrize("workers", ["0", "1"])
def test_an_error_inside_pytest_shows_no_secret(
    project: Project, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    """A hook of the project's that raises makes pytest print its locals and its words."""
    monkeypatch.setenv("SHOP_API_KEY_V2", CANARY)
    monkeypatch.setenv("SHOP_PASSPHRASE", OTHER)
    project.write("conftest.py", f"def pytest_runtest_protocol(): raise RuntimeError({OTHER!r})\n")
    result = project.pytest("-n", workers, "test_a.py::test_process")
    output = f"{result.stdout}\n{result.stderr}"
    assert "INTERNALERROR" in output
    assert MASK in output
    assert secrets_in(output.encode()) == []


def secrets_in(data: bytes) -> list[str]:
    """The parts of a secret that stand there."""
    text = data.decode(errors="replace")
    forms = [CANARY, json.dumps(CANARY)[1:-1], urllib.parse.quote(CANARY), OTHER]
    forms += [base64.b64encode(bytes(at) + CANARY.encode())[4:-4].decode() for at in range(3)]
    parts = {form[at : at + 8] for form in forms for at in range(len(form) - 7)}
    return [text[found.start() - 40 : found.end() + 20] for found in re.finditer("|".join(map(re.escape, parts)), text)]
