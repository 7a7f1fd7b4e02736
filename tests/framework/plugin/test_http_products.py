"""Products that were not made for this: each is declared, its tests pass unchanged, and a wrong secret is told as one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.bare import COMMAND, plain_environment
from tests.framework.project import run_together

PRODUCT = Path(__file__).parents[1] / "http_product.py"
SECRET = "hunter2-hunter2"
SHOP = f"""
[services.shop]
kind = "http"
source = "process"
command = ["{{python}}", "-S", "product.py", "{{shop.port}}"]
env = {{ SHOP_SECRET = "{SECRET}" }}
"""
FASTAPI = """
health = "/api/v1/utils/health-check/"
protected = "/api/v1/users/me"
[users]
service = "shop"
signup = "/api/v1/users/signup"
login = "/api/v1/login/access-token"
encoding = "form"
fields = { email = "username" }
"""
DJANGO = """
health = "/accounts/login/"
protected = "/me"
[users]
service = "shop"
login = "/accounts/login/"
encoding = "form"
fields = { email = "username" }
session = "sessionid"
csrf = {}
[[users.accounts]]
email = "ann"
password = "SECRET"
[[users.accounts]]
email = "root"
password = "SECRET"
role = "admin"
"""
BASIC = """
health = "/basic/health"
identity = { "build.commit" = "abc" }
protected = "/basic/me"
auth = { type = "basic", username = "matrix", password = "SECRET" }
"""
OAUTH = """
health = "/api/v1/utils/health-check/"
protected = "/me"
auth = { type = "oauth2-client-credentials", token_url = "/oauth/token", client_id = "matrix", client_secret = "SECRET" }
"""
ASKS = """
def test_it(real_services):
    assert real_services.http_client_sync.get("/basic/me" if "{name}" == "basic" else "/me").status_code == 200
    assert real_services.backend_url and "{secret}" not in repr(real_services.config)
"""
DJANGO_TESTS = """
import pytest

@pytest.mark.requires("backend", "multi_user")
def test_it(users, real_services):
    with users("admin").client() as client:
        assert client.get("/me").json() == {"email": "root"}
        assert client.post("/orders", json={}).json() == {"of": "root"}
    assert real_services.http_client_sync.get("/me").json() == {"email": "ann"}

def test_too_many(users):
    users.many(2)
"""


def run(root: Path, name: str, declared: str, *, tests: str = "", secret: str = SECRET):
    """Run tests against the product as it is declared; return the run, and the text of its file."""
    files = {
        f"environments/{name}.toml": SHOP + declared.replace("SECRET", secret),
        "product.py": PRODUCT.read_text(),
        "test_it.py": tests or ASKS.format(name=name, secret=secret),
    }
    done = run_together(root, files, name)
    return done, (root / "run.jsonl").read_text()


@pytest.mark.parametrize(
    ("name", "declared"), [("fastapi", FASTAPI), ("basic", BASIC), ("oauth", OAUTH)], ids=["fastapi", "basic", "oauth"]
)
@pytest.mark.fault("canary-secret")
def test_a_product_is_tested_as_it_is(tmp_path: Path, name: str, declared: str):
    """Whatever it is called and however one logs in, the client that tests get is the only service's, and gets in."""
    done, text = run(tmp_path, name, declared)
    assert {test: cell.outcome for test, cell in done.cells.items()} == {"test_it.py::test_it": Outcome.PASSED}
    assert {"shop", "backend"} <= {*done.cells["test_it.py::test_it"].attempts[0].capabilities}
    assert SECRET not in text


@pytest.mark.fault("canary-secret")
def test_a_session_product_is_tested_as_it_is(tmp_path: Path):
    """By its session and its guard, with an account of a role; who asks for more accounts than there are is skipped."""
    done, text = run(tmp_path, "django", DJANGO, tests=DJANGO_TESTS)
    assert [cell.outcome for cell in done.cells.values()] == [Outcome.PASSED, Outcome.SKIPPED]
    assert "no account is left" in text
    assert SECRET not in text


@pytest.mark.parametrize(
    ("name", "declared", "seen"),
    [
        ("basic", BASIC, "GET /basic/health answers 401 to the declared basic auth"),
        ("oauth", OAUTH, "POST /oauth/token answers 400"),
    ],
    ids=["basic", "oauth"],
)
def test_a_wrong_secret_is_told_as_one(tmp_path: Path, name: str, declared: str, seen: str):
    """The tests say nothing about the product: they are kept from running, with the request that was refused."""
    done, _ = run(tmp_path, name, declared + "start_deadline = 1\n", secret="wrong-wrong")
    (cell,) = done.cells.values()
    assert cell.outcome is not Outcome.PASSED
    assert cell.evidence is not None
    assert cell.cause is Cause.INFRASTRUCTURE
    assert seen in str(cell.evidence)


@pytest.mark.parametrize(("name", "declared"), [("fastapi", FASTAPI), ("django", DJANGO)], ids=["fastapi", "django"])
def test_a_declaration_that_works_is_true(tmp_path: Path, name: str, declared: str):
    """The conformance suite checks what is declared, and skips forgeries of tokens that are no JWTs, or of sessions."""
    (tmp_path / "environments").mkdir()
    (tmp_path / f"environments/{name}.toml").write_text(SHOP + declared.replace("SECRET", SECRET))
    (tmp_path / "product.py").write_text(PRODUCT.read_text())
    (tmp_path / "pyproject.toml").write_text("[tool.envmatrix]\nsuites = []\n")
    done = subprocess.run(
        [*COMMAND, "validate", name],
        cwd=tmp_path,
        env=plain_environment() | {"PYTEST_ADDOPTS": "-p no:valkey -p no:cacheprovider"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert f"\n{name}: true\n" in done.stdout
    assert done.returncode == 0
