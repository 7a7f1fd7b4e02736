"""From TOML to an environment, or to one line with the file, the line and the nearest right spelling."""

import contextlib
import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envmatrix.environments import declared_names, load_environment
from envmatrix.exceptions import (
    DeclarationError,
    EnvmatrixError,
    ReferenceCycleError,
    UnknownEnvironmentError,
    UnknownKeyError,
    UnknownReferenceError,
    UnsetVariableError,
    UsageError,
)
from tests.framework.environments.declare import declare, load, refusal

WHOLE = """
    description = "Two services"
    destructive = true

    [services.database]
    kind = "postgres"
    source = "embedded"

    [services.backend]
    kind = "http"
    source = "process"
    command = ["{python}", "-m", "shop", "--port", "{backend.port}"]
    env = { DATABASE_URL = "{database.url}", SECRET = "${SHOP_SECRET}" }
    websocket = "/ws"

    [services.redis]
    kind = "redis"
    source = "absent"

    [users]
    service = "backend"
    signup = "/signup"
    login = "/login"
"""


def test_a_declaration_becomes_an_environment(tmp_path: Path) -> None:
    """Name, services, sources, references, capabilities: all from one file."""
    declare(tmp_path, WHOLE)
    environment = load(tmp_path, SHOP_SECRET="s3cr3t-of-the-shop")
    assert (environment.name, environment.label, environment.destructive) == ("local", "local", True)
    assert list(environment.services) == ["database", "backend", "redis"]
    assert environment.services["backend"].references == {"database"}
    assert environment.services["backend"].env["SECRET"].get_secret_value() == "s3cr3t-of-the-shop"
    assert not environment.services["redis"].is_required
    assert dict(environment.providers) == {
        "database": "database",
        "backend": "backend",
        "websocket": "backend",
        "redis": "redis",
        "multi_user": "backend",
    }


@pytest.mark.fault("canary-secret")
def test_no_secret_of_a_declaration_shows(tmp_path: Path) -> None:
    """What came from a variable stands in no repr and no dump."""
    declare(tmp_path, WHOLE)
    environment = load(tmp_path, SHOP_SECRET="k4nary-s3cret")
    for text in (repr(environment), str(environment), str(environment.masked()), environment.model_dump_json()):
        assert "k4nary-s3cret" not in text
    assert environment.masked()["services"]["backend"]["env"]["SECRET"] == "**********"


def test_every_declaration_of_a_directory_is_named(tmp_path: Path) -> None:
    """Names are those of the TOML files, sorted; other files are no declarations."""
    for name in ("staging", "local"):
        declare(tmp_path, "", name)
    (tmp_path / "README.md").touch()
    assert declared_names(tmp_path) == ("local", "staging")


def test_a_directory_that_is_not_there_is_said(tmp_path: Path) -> None:
    """The error names the option that would help."""
    with pytest.raises(UsageError) as caught:
        declared_names(tmp_path / "none")
    assert str(caught.value) == (
        f"no directory {tmp_path / 'none'}. Name the directory of TOML files with --environments DIR"
    )


@pytest.mark.fault("typo-environment")
def test_a_mistyped_environment_names_the_nearest(tmp_path: Path) -> None:
    """One line with the nearest declared name, exit code 2."""
    for name in ("local", "staging"):
        declare(tmp_path, "", name)
    with pytest.raises(UnknownEnvironmentError) as caught:
        load(tmp_path, "stagign")
    assert str(caught.value) == f"no environment 'stagign' in {tmp_path}. Did you mean 'staging'?"
    assert caught.value.exit_code == 2


@pytest.mark.fault("typo-environment")
@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "", ".", "local.toml", "LOCAL"])
def test_a_name_is_no_path(tmp_path: Path, name: str) -> None:
    """Only a declared name is loaded; nothing else of the file system is reached by one."""
    directory = tmp_path / "environments"
    directory.mkdir()
    declare(directory, "")
    declare(tmp_path, "", "secret")
    with pytest.raises(UnknownEnvironmentError):
        load(directory, name)


@pytest.mark.fault("unknown-key")
@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("descripton = 'x'", "local.toml:1: unknown key 'descripton' in the file. Did you mean 'description'?"),
        (
            """
            [services.backend]
            kind = "http"
            sourse = "embedded"
            source = "embedded"
            """,
            "local.toml:3: unknown key 'sourse' in services.backend. Did you mean 'source'?",
        ),
        (
            """
            [services.backend]
            kind = "http"
            source = "embedded"
            heath = "/h"
            """,
            "local.toml:4: unknown key 'heath' in services.backend. Did you mean 'health'?",
        ),
        (
            """
            [services]
            [users]
            signup = "/s"
            login = "/l"
            logout_path = "/x"
            """,
            "local.toml:5: unknown key 'logout_path' in users. Did you mean 'logout'?",
        ),
        (
            """
            [services]
            [canary.web_socket]
            say = "{canary}"
            """,
            "local.toml:2: unknown key 'web_socket' in canary. Did you mean 'websocket'?",
        ),
        (
            """
            [services]
            [[canary.http]]
            path = "/notes"
            body = { text = "{canary}" }
            read = ["/notes"]
            [[canary.http]]
            path = "/other"
            body = { text = "{canary}" }
            reads = ["/other"]
            read = ["/other"]
            """,
            "local.toml:9: unknown key 'reads' in canary.http 2. Did you mean 'read'?",
        ),
        (
            """
            [services]
            [canary.websocket]
            say = "{canary}"
            ends = ["END"]
            recal = "all"
            """,
            "local.toml:5: unknown key 'recal' in canary.websocket. Did you mean 'recall'?",
        ),
        (
            """
            [services]
            [twin]
            environment = "x.toml"
            variable = {}
            """,
            "local.toml:4: unknown key 'variable' in twin. Did you mean 'variables'?",
        ),
        (
            """
            [services.backend]
            name = "backend"
            kind = "http"
            source = "embedded"
            """,
            "local.toml:2: unknown key 'name' in a service. The table's own name is the name",
        ),
    ],
    ids=["top", "service", "second service key", "users", "canary", "second canary", "canary socket", "twin", "name"],
)
def test_an_unknown_key_is_refused_with_its_line(tmp_path: Path, text: str, line: str) -> None:
    """File, line, key, and the nearest key that there is."""
    assert refusal(tmp_path, text) == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "description = 'x'",
            "local.toml: declares no services. Add a table for each: [services.NAME]",
        ),
        (
            "[services.backend]\nkind = 'http'\nsource = 'process'\ncommand = 'x'",
            'local.toml:4: services.backend.command is a list. Write ["…"]',
        ),
        ("services = 3", "local.toml:1: services are tables: [services.NAME]"),
        ("[services]\nbackend = 3", "local.toml:1: services are tables: [services.NAME]"),
        (
            "[services.backend]\nkind = 'http'",
            "local.toml:1: services.backend needs the key 'source'",
        ),
        (
            "[services.backend]\nkind = 'http'\nsource = 'Embedded'",
            (
                "local.toml:3: services.backend.source: Input should be 'embedded', 'process', 'remote', 'compose', "
                "'container', 'stub' or 'absent'. The spelling and the case count"
            ),
        ),
        (
            "[services.backend]\nkind = 'http'\nsource = 'process'",
            "local.toml:1: services.backend: source = 'process' needs a command",
        ),
        (
            "[services.backend]\nkind = 'http'\nsource = 'remote'",
            "local.toml:1: services.backend: source = 'remote' needs a url",
        ),
        (
            "[services.backend]\nkind = 'http'\nsource = 'container'\nimage = 'shop'",
            "local.toml:1: services.backend: source = 'container' needs an image, and the port inside the container",
        ),
        (
            "[services.backend]\nkind = 'http'\nsource = 'absent'\nrequired = true",
            "local.toml:1: services.backend: an absent service cannot be required",
        ),
        (
            "[services.backend]\nkind = 'http'\nsource = 'embedded'\nstart_deadline = 0",
            "local.toml:4: services.backend.start_deadline: Input should be greater than 0",
        ),
        (
            "[services.backend]\nkind = 'http'\nsource = 'embedded'\nhealth = 'health'",
            "local.toml:4: services.backend.health: String should match pattern '^/'",
        ),
        ("services = {}\nproduction = 'perhaps'", None),
    ],
)
def test_a_wrong_value_is_refused_with_its_line(tmp_path: Path, text: str, line: str | None) -> None:
    """File, line, key and what is wrong with the value."""
    said = refusal(tmp_path, text)
    assert said == line or (line is None and said.startswith("local.toml:2: production: "))


_REMOTE = 'source = "remote"\nurl = "${URL:-http://shop}"'
_PROCESS = 'source = "process"\ncommand = ["shop"]'


@pytest.mark.fault("unknown-key")
@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('kind = "http"\napi_key = "k"\n' + _REMOTE, "3: 'api_key' does nothing for a service of kind = 'http'. "),
        (
            'kind = "openai"\nready = "/r"\n' + _REMOTE,
            "3: 'ready' does nothing for a service of kind = 'openai'. Known here: api_key, ",
        ),
        ('kind = "postgres"\nidentity = { a = "b" }\n' + _REMOTE, "3: 'identity' does nothing "),
        (
            'kind = "postgres"\ntls = true\nsource = "embedded"',
            "3: 'tls' does nothing for a service of source = 'embedd",
        ),
        ('kind = "http"\nca_file = "x.pem"\n' + _PROCESS, "3: 'ca_file' does nothing for a service of source = 'proc"),
        ('kind = "http"\nstart_deadline = 3\n' + _REMOTE, "3: 'start_deadline' does nothing for a service of source ="),
        ('kind = "http"\noptions = { a = 1 }\n' + _REMOTE, "3: 'options' does nothing for a service of kind = 'http'."),
        ('kind = "http"\nurl = "http://x"\n' + _PROCESS, "3: 'url' does nothing for a service of source = 'process'."),
        (
            'kind = "postgres"\ncommand = ["x"]\nsource = "embedded"',
            "3: 'command' does nothing for a service of source = 'embedded'.",
        ),
        ('kind = "http"\nca_file = "x.pem"\n' + _REMOTE, "3: 'ca_file' does nothing for a service of url = 'http://…'"),
        (
            'kind = "http"\nverify = false\nsource = "remote"\nurl = "http://localhost"',
            "3: 'verify' does nothing for a service of url = 'http://…'",
        ),
        (
            'kind = "http"\ndriver = "a:B"\n' + _REMOTE,
            "3: unknown key 'driver' in a service. Name the driver of a kind",
        ),
        ('kind = "job"\ntls = true\n' + _PROCESS, "3: 'tls' does nothing for a service of kind = 'job'."),
        ('kind = "http"\nneeds = ["x"]\n' + _REMOTE, "3: 'needs' does nothing for a service of source = 'remote'."),
        ('kind = "http"\nneeds = ["shap"]\n' + _PROCESS, "3: 'shap' in needs names no service. Did you mean 'shop'?"),
        (
            'kind = "background"\nport = 1\nsource = "compose"\n',
            "3: 'port' does nothing for a service of kind = 'background'.",
        ),
        (
            'kind = "background"\n' + _REMOTE,
            "1: services.shop: a background program is one that we run: source = 'process' or 'compose'",
        ),
        ('kind = "job"\n' + _REMOTE, "1: services.shop: a job is a command that runs to its end: source = 'process'"),
        (
            'kind = "postgresql"\n' + _REMOTE,
            "2: service 'shop' is of kind 'postgresql', for which no driver is installed. Did you mean 'postgres'?",
        ),
    ],
    ids=[
        "api_key",
        "ready",
        "identity",
        "tls",
        "ca_file",
        "start_deadline",
        "options",
        "url",
        "command",
        "ca_file over http",
        "verify over http",
        "driver",
        "tls of a job",
        "needs of a remote one",
        "needs a stranger",
        "port of a background program",
        "a remote background program",
        "a remote job",
        "kind",
    ],
)
def test_what_does_nothing_is_refused_with_its_line(tmp_path: Path, text: str, line: str) -> None:
    """A kind that nobody provides, and a key that the kind or the source does not use, are mistakes."""
    assert refusal(tmp_path, f"[services.shop]\n{text}\n").startswith(f"local.toml:{line}")


@pytest.mark.fault("unset-variable")
def test_an_unset_variable_is_refused_with_its_line_and_the_nearest(tmp_path: Path) -> None:
    """The variable, where it stands, and one of the same family that is set."""
    text = """
        [services.backend]
        kind = "http"
        source = "remote"
        url = "${STAGING_BACKEND_URL}"
    """
    assert refusal(tmp_path, text, STAGING_BACKEND_URI="x", HOME="/") == (
        "local.toml:4: variable STAGING_BACKEND_URL is not set. Did you mean 'STAGING_BACKEND_URI'?"
    )
    assert refusal(tmp_path, text, HOME="/") == (
        "local.toml:4: variable STAGING_BACKEND_URL is not set. "
        "Set STAGING_BACKEND_URL, or put it in a file given by --env-file"
    )


@pytest.mark.fault("canary-secret")
def test_the_values_of_other_variables_are_never_said(tmp_path: Path) -> None:
    """An error about a variable names variables, not what they hold."""
    text = "[services.b]\nkind = 'http'\nsource = 'remote'\nurl = '${APP_TOKEN}'"
    assert "k4nary" not in refusal(tmp_path, text, APP_TOKENS="k4nary-s3cret", APP_KEY="k4nary-s3cret")


def test_a_default_stands_in_for_an_unset_variable(tmp_path: Path) -> None:
    """`${NAME:-default}` needs no variable, and an empty default is one."""
    declare(tmp_path, "[services.b]\nkind = 'http'\nsource = 'remote'\nurl = '${U:-https://x}'\nca_file = '${C:-}'")
    url = load(tmp_path).services["b"].url
    assert url is not None
    assert url.get_secret_value() == "https://x"
    assert load(tmp_path).services["b"].ca_file == ""
    assert load(tmp_path, C="a.pem").services["b"].ca_file == "a.pem"


def test_an_env_file_fills_in_and_the_process_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process's own environment beats the file; a `$` in the file is just a character."""
    monkeypatch.setenv("DEMO_MODEL", "from the process")
    declare(
        tmp_path,
        "[services.l]\nkind = 'openai'\nsource = 'remote'\nurl = '${DEMO_URL}'\nmodel = '${DEMO_MODEL}'",
    )
    file = tmp_path / "demo.env"
    file.write_text("# hosts\nDEMO_URL=http://u:p$HOME@h\nexport DEMO_MODEL='from the file'\n")
    service = load_environment("local", tmp_path, env_file=file).services["l"]
    assert service.url is not None
    assert service.url.get_secret_value() == "http://u:p$HOME@h"
    assert service.model == "from the process"


def test_an_env_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    """The file and the reason, in one line."""
    declare(tmp_path, "services = {}")
    with pytest.raises(DeclarationError) as caught:
        load_environment("local", tmp_path, env_file=tmp_path / "none.env")
    assert str(caught.value) == f"{tmp_path / 'none.env'}: cannot be read: No such file or directory"
    (tmp_path / "latin.env").write_bytes(b"A=\xff\n")
    with pytest.raises(DeclarationError) as caught:
        load_environment("local", tmp_path, env_file=tmp_path / "latin.env")
    assert str(caught.value) == f"{tmp_path / 'latin.env'}:1: is not UTF-8. Save it as UTF-8 text"


@pytest.mark.fault("reference-cycle")
def test_a_reference_cycle_is_refused_with_its_way_round(tmp_path: Path) -> None:
    """Services that wait for each other are named in the order in which they wait."""
    text = """
        [services.a]
        kind = "http"
        source = "process"
        command = ["x", "{b.url}"]

        [services.b]
        kind = "http"
        source = "process"
        command = ["x"]
        env = { C = "{c.port}" }

        [services.c]
        kind = "http"
        source = "process"
        command = ["x", "{a.host}"]
    """
    line = refusal(tmp_path, text)
    assert line.endswith(". Drop one of the references")
    assert "services wait for each other: " in line
    way = line.partition("each other: ")[2].partition(".")[0].split(" → ")
    assert way[0] == way[-1]
    following = dict(itertools.pairwise(way))
    assert following == {"a": "b", "b": "c", "c": "a"}


@pytest.mark.fault("canary-secret")
@pytest.mark.parametrize("field", ["password", "url"])
def test_a_password_in_a_command_is_refused(tmp_path: Path, field: str) -> None:
    """Every user of the machine can read a process's words; its environment only its owner."""
    database = "[services.database]\nkind = 'postgres'\nsource = 'embedded'\n"
    service = database + "[services.a]\nkind = 'http'\nsource = 'process'\n"
    blank = f"{{database.{field}}}"
    assert refusal(tmp_path, f"{service}command = ['x', '--login={blank}']") == (
        f"local.toml:7: {blank} in command would show a password. "
        "Put it in env: a command's words are readable by everybody (ps)"
    )
    declare(tmp_path, f"{service}command = ['x']\nenv = {{ LOGIN = '{blank}' }}")
    assert load(tmp_path).services["a"].references == {"database"}


def test_a_service_may_refer_to_itself(tmp_path: Path) -> None:
    """Its own port is no cycle."""
    declare(tmp_path, "[services.a]\nkind = 'http'\nsource = 'process'\ncommand = ['x', '{a.port}']")
    assert load(tmp_path).services["a"].references == frozenset()


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("{databse.url}", "local.toml:7: {databse.url} names no service. Did you mean 'database'?"),
        ("{database.uri}", "local.toml:7: {database.uri}: a service has no 'uri'. Did you mean 'url'?"),
        ("{pyton}", "local.toml:7: unknown reference {pyton}. Did you mean 'python'?"),
    ],
)
def test_an_unknown_reference_is_refused_with_the_nearest(tmp_path: Path, word: str, line: str) -> None:
    """Services, fields and globals each have their nearest right spelling."""
    text = f"""
        [services.database]
        kind = "postgres"
        source = "embedded"
        [services.backend]
        kind = "http"
        source = "process"
        command = ["x", "{word}"]
    """
    assert refusal(tmp_path, text) == line


@pytest.mark.parametrize(
    ("table", "refused"),
    [
        ("body = { text = 'word' }\nread = ['/n']", "canary.http 1: no text of body holds {canary}"),
        (
            "body = { text = '{canary}' }\nread = ['/n', '/n/{id}']",
            "canary.http 1: read asks for {id}, and `id` does not say which field of the answer that is",
        ),
        ("body = { text = '{canary}' }\nread = []", "canary.http 1: read names no path to look for the word at"),
    ],
    ids=["no word", "no id", "no path"],
)
def test_a_canary_that_could_never_be_seen_is_refused(tmp_path: Path, table: str, refused: str) -> None:
    """What would search for nothing, or nowhere, would find no cross-user read."""
    text = f"[services]\n[[canary.http]]\npath = '/n'\n{table}"
    assert refusal(tmp_path, text) == f"local.toml:2: {refused}"


@pytest.mark.parametrize(
    ("table", "refused"),
    [
        ("say = 'hello'\nends = ['END']", "say does not hold {canary}"),
        ("say = '{canary}'\nends = []", "ends names no text that an answer ends with"),
        (
            "say = '{canary}'\nends = ['END']\nrecall = 'tell {id}'",
            "`id` says which field fills in {id} in recall: one is nothing without the other",
        ),
        (
            "say = '{canary}'\nends = ['END']\nrecall = 'tell'\nid = 'talk'",
            "`id` says which field fills in {id} in recall: one is nothing without the other",
        ),
    ],
    ids=["no word", "no end", "no field", "no blank"],
)
def test_a_conversation_that_could_give_nothing_away_is_refused(tmp_path: Path, table: str, refused: str) -> None:
    """The word must be said, an answer must end, and who is to be asked in a conversation must know its name."""
    text = f"[services]\n[canary.websocket]\n{table}"
    assert refusal(tmp_path, text) == f"local.toml:2: canary.websocket: {refused}"


def test_an_unset_variable_in_the_second_canary_is_named_with_its_line(tmp_path: Path) -> None:
    """Each table of a list of tables has lines of its own."""
    table = "[[canary.http]]\npath = '/n'\nread = ['/n']\nbody = {{ text = '{}' }}\n"
    text = "[services]\n" + table.format("{canary}") + table.format("{canary}${UNSET}")
    assert refusal(tmp_path, text).startswith("local.toml:9: variable UNSET is not set")


def test_users_of_no_service_are_refused(tmp_path: Path) -> None:
    """The service that makes users must be one."""
    text = """
        [services.auth_service]
        kind = "http"
        source = "embedded"
        [users]
        service = "auth_servise"
        signup = "/s"
        login = "/l"
    """
    assert refusal(tmp_path, text) == (
        "local.toml:5: users.service names 'auth_servise', which is no service here. Did you mean 'auth_service'?"
    )


@pytest.mark.fault("not-utf8")
def test_a_file_that_is_not_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    """The line of the first wrong byte."""
    assert refusal(tmp_path, b"services = {}\n# caf\xe9\n") == ("local.toml:2: is not UTF-8. Save it as UTF-8 text")


@pytest.mark.fault("binary-toml")
def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    """Bytes that happen to be UTF-8 are still no TOML."""
    assert refusal(tmp_path, b"\x7fELF\x00\x01\x02") == "local.toml:1: is not TOML: Invalid statement"


@pytest.mark.fault("empty-file")
def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    """An environment of no services is a file half written."""
    assert refusal(tmp_path, b"") == ("local.toml: declares no services. Add a table for each: [services.NAME]")


@pytest.mark.fault("huge-file")
def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    """A sparse gigabyte is refused after its first megabyte."""
    with declare(tmp_path, b"").open("wb") as stream:
        stream.truncate(1 << 30)
    with pytest.raises(DeclarationError, match="is larger than 1 MiB"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[services", "local.toml:1: is not TOML: Expected ']' at the end of a table declaration"),
        ("a = 1\na = 2", "local.toml:2: is not TOML: Cannot overwrite a value"),
    ],
)
def test_what_is_not_toml_is_refused_with_its_line(tmp_path: Path, text: str, line: str) -> None:
    """Tomllib's reason, and the line it names."""
    assert refusal(tmp_path, text) == line


TWIN = """
    [services.backend]
    kind = "http"
    source = "remote"
    url = "${SHOP_URL}"

    [twin]
    environment = "reference/twin.toml"
    variables = { SHOP_URL = "{backend.url}" }
"""


def test_a_twin_stands_in_while_its_variables_are_unset(tmp_path: Path) -> None:
    """Unset: the label says twin, and the reference waits. Set: the twin is gone, and so is the claim."""
    declare(tmp_path, TWIN)
    twin = load(tmp_path)
    assert twin.label == "local (twin)"
    real = load(tmp_path, SHOP_URL="https://shop.example")
    assert (real.label, real.twin) == ("local", None)


def test_a_variable_that_is_set_to_nothing_is_unset_for_the_twin(tmp_path: Path) -> None:
    """CI systems set what they don't have to the empty string."""
    declare(tmp_path, TWIN)
    assert load(tmp_path, SHOP_URL="").label == "local (twin)"


TYPES = {
    UnknownKeyError: "servises = {}",
    UnsetVariableError: "[services.a]\nkind = '${A}'\nsource = 'absent'",
    UnknownReferenceError: "[services.a]\nkind = 'http'\nsource = 'process'\ncommand = ['{b.url}']",
    ReferenceCycleError: "\n".join(
        f"[services.{a}]\nkind = 'http'\nsource = 'process'\ncommand = ['{{{b}.url}}']" for a, b in ("ab", "ba")
    ),
}


@pytest.mark.parametrize(("error", "text"), TYPES.items(), ids=[error.__name__ for error in TYPES])
def test_each_mistake_has_its_own_class(tmp_path: Path, error: type[EnvmatrixError], text: str) -> None:
    """A program can tell them apart without reading the message."""
    declare(tmp_path, text)
    with pytest.raises(error):
        load(tmp_path)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for many declarations."""
    return tmp_path_factory.mktemp("environments")


toml_like = st.text(st.sampled_from("abkinds=.\"{}[]$#\n '\\x,0é-")) | st.binary(max_size=60)


@given(toml_like)
def test_no_file_makes_anything_but_an_environment_or_one_line(directory: Path, content: str | bytes) -> None:
    """Whatever stands in the file, the answer is an environment or one of our errors, never a traceback."""
    declare(directory, content if isinstance(content, bytes) else content.encode())
    with contextlib.suppress(DeclarationError):
        load(directory)
