"""Hosts in source."""

import ast

import pytest

from envmatrix.analysis.source.hosts import hosts


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
