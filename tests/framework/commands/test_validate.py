"""`envmatrix validate`, as a user types it, against real services: each run is pytest with the whole conformance suite."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from envmatrix.environments import ServiceSpec, Source
from envmatrix.plugin.session import ping_absent
from envmatrix.runs.ping import PingStatus
from envmatrix.services import get_kind
from envmatrix.validation import VALIDATION_RULES
from tests.framework.bare import Bare
from tests.framework.docs_pages import ROOT
from tests.framework.project import Project
from tests.framework.services.servers import running, web

SHOP = """\
# The shop, deployed elsewhere.
[services.backend]
kind = "http"
source = "remote"
url = "${SHOP_BACKEND_URL}"
ready = "/ready"
identity = { service = "backend", environment = "shop" }

[services.redis]   # was switched off in spring
kind = "redis"
source = "absent"  # we believe
url = "${SHOP_CACHE:-}"
required = false

# Nobody knows.
[services.clickhouse]
kind = "clickhouse"
source = "absent"
"""
WHO = {"service": "backend", "environment": "shop"}


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real Valkey."""
    spec = ServiceSpec(name="redis", kind="redis", source=Source.EMBEDDED)
    with running(get_kind("redis"), spec, tmp_path_factory.mktemp("cache")) as server:
        yield server.endpoint.field("url")


class Shop:
    """A project with one environment, whose services are elsewhere."""

    def __init__(self, bare: Bare) -> None:
        self.bare = bare
        shutil.rmtree(bare.root / "environments")
        self.file = bare.write("environments/shop.toml", SHOP)

    def validate(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the command, with variables in an env file."""
        lines = "".join(f"{name}={value}\n" for name, value in variables.items())
        self.bare.write("shop.env", lines)
        to_pytest = () if "--" in arguments else ("--",)
        return self.bare.run("validate", "shop", "--env-file=shop.env", *arguments, *to_pytest, "-p", "anyio")


@pytest.fixture
def shop(bare: Bare) -> Shop:
    """A project with one environment."""
    return Shop(bare)


def backend(**dependencies: str) -> dict[str, tuple[int, object]]:
    """What a backend answers that says this of its dependencies."""
    return {"/health": (200, WHO), "/ready": (200, {"dependencies": dependencies})}


def test_what_is_denied_and_there_is_a_gap_that_fix_closes(shop: Shop, valkey: str) -> None:
    """A real server at the url of an absent service, and one of which the backend speaks: found, written, then true."""
    with web(backend(redis="up", clickhouse="up")) as site:
        told = {"SHOP_BACKEND_URL": site.url, "SHOP_CACHE": valkey}
        proposed = shop.validate("--json", **told)
        assert proposed.returncode == 1, proposed.stderr
        assert shop.file.read_text() == SHOP
        written = shop.validate("--fix", **told)
        fixed = shop.file.read_text()
        again = shop.validate("--fix", "--json", **told)
    document = json.loads(proposed.stdout)
    assert [(one["rule"], one["capability"], one["line"]) for one in document["findings"][:2]] == [
        ("T602", "redis", 11),
        ("T602", "clickhouse", 18),
    ]
    assert document["conformance"] == "compatible"
    assert valkey not in proposed.stdout + proposed.stderr

    assert written.returncode == 1
    assert "T602 redis is declared absent, and answers at its url: Valkey" in written.stdout
    assert "(environments/shop.toml:11)" in written.stdout
    for line in document["diff"].splitlines():
        assert line.rstrip() in written.stdout
    assert fixed == SHOP.replace('"absent"  # we', '"remote"  # we').replace(
        'source = "absent"\n', 'source = "remote"\nurl = "${SHOP_CLICKHOUSE_URL:-}"\nrequired = false\n'
    )

    known = json.loads(again.stdout)
    assert (again.returncode, known["answer"], known["diff"], known["written"]) == (0, "true", "", False), again.stdout
    assert shop.file.read_text() == fixed
    seen = {one["name"]: (one["declared"], one["observed"], len(one["passed"]) > 0) for one in known["capabilities"]}
    assert seen["redis"] == ("optional", "up", True)
    assert seen["clickhouse"] == ("optional", "down", False)


def test_what_is_not_seen_is_not_proposed(shop: Shop) -> None:
    """No url, or one where nobody answers, and nobody who speaks of it: absent is true. Remarks are allowed."""
    shop.bare.write("environments/shop.toml", SHOP.replace('ready = "/ready"', 'capabilities = ["search"]'))
    with web(backend()) as site:
        ended = shop.validate(SHOP_BACKEND_URL=site.url, SHOP_CACHE="redis://127.0.0.1:1")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "T603 search is available, and no test exercised it (environments/shop.toml:6)" in ended.stdout
    assert "part of the suite" not in ended.stdout
    assert ended.stdout.endswith("shop: true\n")
    assert "test session starts" not in ended.stdout + ended.stderr
    assert "shop: started" in ended.stderr
    ran = (shop.bare.root / ".envmatrix/validations/latest/shop.jsonl").read_text()
    assert "test_a.py" not in ran, "the project's own suite is not run"
    assert not (shop.bare.root / ".envmatrix/runs").exists(), "the gate judges the last matrix"


def test_a_target_that_denies_what_is_declared_is_believed_no_more_than_we_are(shop: Shop, valkey: str) -> None:
    """The conflict is said, and what to look at."""
    shop.bare.write("environments/shop.toml", SHOP.replace('"absent"  # we believe', '"remote"'))
    with web(backend(redis="absent")) as site:
        ended = shop.validate(SHOP_BACKEND_URL=site.url, SHOP_CACHE=valkey)
    assert ended.returncode == 1
    assert "T605 redis is declared remote and answers us, and backend says that there is none" in ended.stdout


@pytest.mark.fault("health-200-wrong-service")
@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"/health": (500, WHO), "/ready": (200, {})}, "down: could not be reached: GET /health answers 500"),
        (
            backend() | {"/health": (200, {**WHO, "environment": "blog"})},
            "down: is not what was declared: answers as backend/blog",
        ),
    ],
    ids=["down", "stranger"],
)
def test_a_required_service_that_is_not_there_leaves_it_unknown(shop: Shop, answers: dict, said: str) -> None:
    """With the reason; the end of what pytest said stands on standard error."""
    with web(answers) as site:
        ended = shop.validate(SHOP_BACKEND_URL=site.url)
    assert ended.returncode == 3
    assert f"T601 backend is declared remote and required, and is {said}" in " ".join(ended.stdout.split())
    assert "T603" not in ended.stdout
    assert "blocked by the smoke check" in ended.stderr


@pytest.mark.parametrize("has_contract", [False, True])
def test_conftests_are_loaded_only_for_a_contract_of_the_projects_own(shop: Shop, has_contract: bool) -> None:
    """They may need what `[pytest]` gives to the project's own suite alone, or say what the contract's fields are."""
    shop.bare.write("tests/conftest.py", "import pathlib\npathlib.Path('loaded.txt').touch()\n")
    if has_contract:
        with (shop.bare.root / "pyproject.toml").open("a") as settings:
            settings.write('[tool.envmatrix.contracts]\ncart = "shop:Cart"\n')
    shop.validate("--", "--collect-only", SHOP_BACKEND_URL="http://127.0.0.1:1")
    assert (shop.bare.root / "loaded.txt").exists() == has_contract


def test_a_run_that_never_began_is_unknown(shop: Shop) -> None:
    """Pytest's own words say why."""
    ended = shop.validate("--", "--no-such-option", SHOP_BACKEND_URL="http://127.0.0.1:1")
    assert ended.returncode == 3
    assert "left no run" in ended.stdout or "before it recorded a run" in ended.stdout
    assert "unrecognized arguments: --no-such-option" in ended.stderr


def test_a_file_that_must_not_be_written_is_left_alone(shop: Shop, valkey: str) -> None:
    """The report is printed all the same, and one line says why it was not."""
    shop.file.chmod(0o444)
    with web(backend()) as site:
        ended = shop.validate("--fix", SHOP_BACKEND_URL=site.url, SHOP_CACHE=valkey)
    assert ended.returncode == 1
    assert "is read-only. Make it writable" in " ".join(ended.stdout.split())
    assert shop.file.read_text() == SHOP


def test_what_was_seen_at_a_twin_is_not_written_about_the_deployment(shop: Shop) -> None:
    """It stands in for the deployment, and may have what that has not."""
    with web(backend(clickhouse="up")) as site:
        twin = f'[services.backend]\nkind = "http"\nsource = "remote"\nurl = "{site.url}"\n'
        shop.bare.write("environments/reference/twin.toml", twin)
        wanted = '[twin]\nenvironment = "reference/twin.toml"\n[twin.variables]\nSHOP_BACKEND_URL = "{backend.url}"\n'
        shop.bare.write("environments/shop.toml", SHOP + wanted)
        ended = shop.validate("--fix")
    assert ended.returncode == 1
    assert "T602 clickhouse is declared absent, and backend says that it is up" in ended.stdout
    assert "Cannot be written for you: shop (twin) ran, not the deployment" in ended.stdout
    assert shop.file.read_text() == SHOP + wanted


@pytest.mark.fault("canary-secret")
def test_a_literal_secret_beside_a_change_is_not_shown(shop: Shop) -> None:
    """The diff has the lines around it, masked; the file keeps them."""
    secret = "literal-but-secret"
    text = SHOP.replace("${SHOP_CACHE:-}", f"redis://:{secret}@127.0.0.1:1")
    shop.bare.write("environments/shop.toml", text)
    with web(backend(redis="up")) as site:
        ended = shop.validate("--fix", SHOP_BACKEND_URL=site.url)
    assert '+source = "remote"  # we believe' in ended.stdout
    assert secret not in ended.stdout + ended.stderr
    assert f":{secret}@" in shop.file.read_text()


@pytest.mark.parametrize(
    ("kind", "url", "said"),
    [
        ("redis", "ftp://x", "its url is none that 'redis' can speak to"),
        ("kafka", "kafka://x", "for which no driver is installed"),
    ],
)
def test_an_absent_service_that_cannot_be_looked_at_was_not_seen(kind: str, url: str, said: str) -> None:
    """Whatever is wrong with its declaration breaks no run: it is absent."""
    seen = ping_absent(ServiceSpec(name="x", kind=kind, source=Source.ABSENT, url=url))
    assert seen.status is PingStatus.ABSENT
    assert said in seen.detail


def test_what_a_test_exercises(project: Project) -> None:
    """What it reads or is marked with; of who asks for the whole reality, only the marker tells."""
    project.write(
        "test_a.py",
        """
        import pytest

        def test_reads(real_services): real_services.api_url

        @pytest.mark.requires("multi_user")
        def test_marked(real_services): pass

        def test_whole(real_services, matrix_reality): real_services.api_url

        @pytest.mark.requires("backend")
        def test_marked_whole(matrix_reality): pass
        """,
    )
    project.pytest()
    exercised = {test.partition("::")[2]: cell.attempts[0].capabilities for test, cell in project.run.cells.items()}
    assert exercised == {
        "test_reads": ("backend",),
        "test_marked": ("multi_user",),
        "test_whole": (),
        "test_marked_whole": ("backend",),
    }


def test_every_rule_has_its_page() -> None:
    """Its heading is what the table says, up to the colon."""
    for code, meaning in VALIDATION_RULES.items():
        page = ROOT / "docs/rules" / f"{code}.md"
        assert page.read_text(encoding="utf-8").startswith(f"# {code}: {meaning.partition(':')[0]}\n")
