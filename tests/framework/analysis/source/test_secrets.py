"""Secrets and hosts in source; those here are made up, and put together so that no scanner takes them for real ones."""

import ast

import pytest

from envmatrix.analysis.source.hosts import hosts
from envmatrix.analysis.source.secrets import secrets

RANDOM = "q8Zr5VtK2m" + "Xw9Lb4Nc7Hs1Jd"
HEX = "9f1c7be2d04a" + "8e35c61fa07b2d94e8c3"
KEY = "MIIEvQIBADANBgkqhkiG9w0BAQ" + "EFAASCBKcwggSjAgEAAoIBAQ"


def said(source: str) -> list[str]:
    """Return what is said of the secrets of a source."""
    found = secrets(source.encode())
    assert not any(secret in note.message for note in found for secret in (RANDOM, HEX, KEY))
    return [note.message for note in found]


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (f"key = 'AKIA{'Q7ZRW5TKVM2XLBNC'}'", "an AWS access key"),
        (f"x = 'ghp_{RANDOM}{RANDOM[:12]}'", "a GitHub token"),
        (f"# gho_{RANDOM}{RANDOM[:12]}", "a GitHub token"),
        (f"x = 'glpat-{RANDOM}'", "a GitLab token"),
        (f"x = 'xoxb-{'987650321'}-{RANDOM}'", "a Slack token"),
        (f"x = 'AIza{RANDOM}{RANDOM[:11]}'", "a Google API key"),
        (f"x = 'sk-proj-{RANDOM}{RANDOM}'", "an API key"),
        (f"x = 'eyJ{RANDOM}.eyJ{RANDOM}.{RANDOM}'", "a signed JWT"),
        (f"x = '''-----BEGIN RSA PRIVATE{' KEY'}-----\n{KEY}'''", "a private key"),
    ],
)
def test_a_token_of_a_known_form_is_named_by_its_kind(source: str, kind: str) -> None:
    """Wherever it stands, in a comment too: it is out."""
    assert said(source) == [f"{kind} in the source"]


@pytest.mark.parametrize(
    "source",
    [
        f"PASSWORD = '{RANDOM}'",
        f"password = '{HEX}'",
        f"token = '{HEX}{HEX}'",
        f"db_password: str = '{RANDOM}'",
        f"connect(token='{RANDOM}')",
        f"x = {{'client_secret': '{HEX}'}}",
        f"os.environ['API_KEY'] = b'{RANDOM}'",
    ],
)
def test_a_random_literal_that_is_called_a_secret_is_found(source: str) -> None:
    """By variable, keyword or key."""
    assert said(source) == ["a random literal in the source, assigned to what is called a secret"]


def test_a_password_in_a_url_is_found() -> None:
    """At the place of the password."""
    (note,) = secrets(f"x = 1\nurl = 'postgres://shop:{RANDOM}@db.shop.io/x'".encode())
    assert (note.line, note.column, note.message) == (2, 24, "a password in a URL in the source")


@pytest.mark.parametrize(
    "source",
    [
        "password = 'changeme'",
        "password = 'correct-horse-battery-staple'",
        "token = 'test-' + 'x'",
        f"token = 'test-{RANDOM}'",
        f"secret = 'not-a-real-{RANDOM}'",
        "API_KEY = 'AKIAIOSFODNN7EXAMPLE'",
        "token = 'ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'",
        "token = 'aaaaaBBBBB1111122222'",
        "secret = '12345678901234567890abcdef'",
        f"digest = '{HEX}'",
        f"password = '{HEX}{HEX}'",
        "token = '9f1c7be2-04a8-4e35-861f-a07b2d94e8c3'",
        f"token == '{RANDOM}'",
        "tokens = ['The', 'quick', 'brown', 'fox', 'jumps']",
        "url = 'postgres://user:password@localhost/x'",
        "url = f'postgres://user:{password_of_the_user}@host/x'",
        "assert text.startswith('-----BEGIN PRIVATE KEY-----')",
    ],
)
def test_what_is_plainly_made_up_is_no_secret(source: str) -> None:
    """Placeholders, words, patterns, and random literals that nobody calls secret."""
    assert said(source) == []


def found(source: str) -> list[str]:
    """Return the hosts that are found in a source."""
    return [note.message.split()[2] for note in hosts(ast.parse(source), source.encode())]


@pytest.mark.parametrize(
    "source",
    [
        "BASE_URL = 'https://shop.io'",
        "class Test:\n    def test(self):\n        self.api_url = 'https://shop.io/api'",
        "client = Client(base_url='https://shop.io')",
        "httpx.get('https://shop.io/health')",
        "httpx.get('https://shop.io/archive/2026/07/list.html')",
        "# No mock here: we patch (nothing).\nhttpx.patch('https://shop.io')",
        "def test(monkeypatch):\n    monkeypatch.setenv('BACKEND_URL', x)\n    get('https://shop.io')",
        "httpx.get(f'https://shop.io/{path}')",
        "URLS = {'backend_url': 'https://shop.io:8443'}",
        "BACKEND_URL = os.environ.get('BACKEND_URL') or 'wss://shop.io/ws'",
        "DATABASE_URL = os.getenv('DATABASE_URL', 'postgres://me:pw@shop.io/x')",
        "@pytest.fixture\ndef url():\n    if x:\n        return connect('redis://shop.io')",
    ],
)
def test_a_host_that_a_test_speaks_to_is_found(source: str) -> None:
    """As an address by its name, or in the call that opens it."""
    assert found(source) == ["shop.io"]


@pytest.mark.parametrize(
    "source",
    [
        "BASE_URL = 'http://localhost:8000'",
        "BASE_URL = 'http://127.0.0.1:8000'",
        "BASE_URL = 'http://[::1]:8000'",
        "BASE_URL = 'http://backend:8000'",
        "BASE_URL = 'https://api.example.com'",
        "BASE_URL = 'https://shop.test'",
        "BASE_URL = 'https://192.0.2.7'",
        "BASE_URL = f'https://{host}/api'",
        "# see https://shop.io\nBASE_URL = x",
        'def test():\n    """As https://shop.io says."""',
        "url = 'https://shop.io'",
        "names = ['https://shop.io']",
        "text = 'go to https://shop.io'",
        "import respx\nBASE_URL = 'https://shop.io'",
        "from unittest import mock\nBASE_URL = 'https://shop.io'",
        "@patch('shop.get')\ndef test(get):\n    connect('https://shop.io')",
        "def test(monkeypatch):\n    monkeypatch.setattr(shop, 'get', str)\n    connect('https://shop.io')",
        "BASE_URL = 'https://shop.io/archive/2026/07/list.html'",
        "base_url = 'file://shop.io/x'",
    ],
)
def test_examples_links_and_data_are_no_hosts(source: str) -> None:
    """Loopback, reserved names, comments, docstrings, texts, and what a library answers in place of the network."""
    assert found(source) == []


def test_an_address_of_a_private_network_is_somebodys() -> None:
    """It is no loopback, and no document's."""
    assert found("BASE_URL = 'http://10.1.2.3:80'") == ["10.1.2.3"]
