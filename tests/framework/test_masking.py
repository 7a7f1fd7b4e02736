"""No secret is left in any text, and ordinary text is left alone."""

import base64
import functools
import html
import json
import pickle
import pprint
import re
import shlex
import threading
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from envmatrix import masking
from envmatrix.masking import (
    MASK,
    Masker,
    Secret,
    is_secret_name,
    secrets_among,
    secrets_in_command,
    secrets_in_url,
    suspects,
)

CANARY = 'k4nary-S3cret/with+odd="chärs'
JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl-x"


@pytest.fixture
def masker() -> Masker:
    """One that knows the canary."""
    masker = Masker()
    masker.add(CANARY)
    return masker


SECRETS = (
    CANARY,
    'it\'s "so" & <so>, 50%41 + a\\nb\\',
    "plain-and-simple-0123456789",
    "ünï-cödé-Ã¤-\U0001f600-日本語",
    "a b+c/d-e_f=~?&;",
    "tab\tand\x7f\x01control",
)


def libpq(secret: str) -> str:
    """As a value in a connection string."""
    return "'" + secret.replace("\\", "\\\\").replace("'", "\\'") + "'"


def lower_percent(text: str) -> str:
    """With the digits of escapes in lower case, as some servers write them."""
    return re.sub("%..", lambda match: match[0].lower(), text)


def base64_of(data: bytes, *, offset: int = 0, urlsafe: bool = False) -> str:
    """Behind so many bytes of something else, and before one more."""
    text = base64.b64encode(b"u:"[:offset] + data + b"@").decode()
    return text.translate(str.maketrans("+/", "-_")) if urlsafe else text


def wrapped(text: str) -> str:
    """In lines of 20 characters behind pytest's margin."""
    return "\nE           ".join(text[at : at + 20] for at in range(0, len(text), 20))


def as_bytes(secret: str) -> bytes:
    """In UTF-8, lone surrogates as they are."""
    return secret.encode(errors="surrogatepass")


ENCODINGS = {
    "plain": str,
    "repr": repr,
    "repr of a repr": lambda secret: repr([repr(secret)]),
    "ascii": ascii,
    "bytes": lambda secret: repr(as_bytes(secret)),
    "json": json.dumps,
    "json of a script": lambda secret: json.dumps(secret).replace("/", "\\/"),
    "json in json": lambda secret: json.dumps(json.dumps(secret, ensure_ascii=False)),
    "libpq": libpq,
    "sql": lambda secret: "'" + secret.replace("'", "''") + "'",
    "csv": lambda secret: '"' + secret.replace('"', '""') + '"',
    "shell": shlex.quote,
    "percent": lambda secret: urllib.parse.quote(as_bytes(secret), safe=""),
    "percent of a path": lambda secret: lower_percent(urllib.parse.quote(as_bytes(secret))),
    "plus": lambda secret: urllib.parse.quote_plus(as_bytes(secret)),
    "percent twice": lambda secret: urllib.parse.quote(urllib.parse.quote(as_bytes(secret))),
    "html": html.escape,
    "html by numbers": lambda secret: "".join(
        each if each.isalnum() or "\ud800" <= each < "\ue000" or each in "\t\n\x01\x7f" else f"&#{ord(each)};"
        for each in secret
    ),
    "html by hex": lambda secret: secret.replace("&", "&amp;").replace("'", "&#x27;").replace('"', "&#X22;"),
    "hex": lambda secret: as_bytes(secret).hex(),
    "HEX": lambda secret: as_bytes(secret).hex().upper(),
    **{
        f"base64{' urlsafe' * urlsafe} at {offset}": functools.partial(
            lambda secret, offset, urlsafe: base64_of(as_bytes(secret), offset=offset, urlsafe=urlsafe),
            offset=offset,
            urlsafe=urlsafe,
        )
        for offset in (0, 1, 2)
        for urlsafe in (False, True)
    },
    "base64 of json": lambda secret: base64_of(json.dumps([secret])[:-1].encode()),
    "base64 in lines": lambda secret: wrapped(base64_of(as_bytes(secret), offset=1)),
    "base64 in lines, repr": lambda secret: repr(wrapped(base64_of(as_bytes(secret), offset=2))),
    "wrapped": wrapped,
    "wrapped repr": lambda secret: wrapped(repr(secret)),
    "pprint": lambda secret: pprint.pformat([as_bytes(secret)], width=20),
}


@pytest.mark.fault("canary-secret")
@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
@pytest.mark.parametrize("secret", SECRETS)
def test_a_known_secret_is_gone_in_every_form(secret: str, encode: Callable[[str], str]) -> None:
    """Wherever a registered secret stands, and however it is escaped, encoded or wrapped, stars stand afterwards."""
    masker = Masker()
    masker.add(secret)
    for text in ("x = {}, y", "{}", "f({})...", "GET /x?key={}&a=1 HTTP/1.1\n"):
        masked = masker.mask_known(text.format(encode(secret)))
        assert MASK in masked
        assert left_of(encode(secret), masked) == ""


@pytest.mark.fault("canary-secret")
@settings(max_examples=60)  # a second
@given(
    st.text(
        st.sampled_from("aZ7'\"\\%&;+ /-_=<>äÃ¤€\U0001f600") | st.characters(exclude_categories=["C", "Z"]), min_size=8
    ),
    st.sampled_from(sorted(ENCODINGS)),
)
def test_any_secret_is_gone_in_every_form(secret: str, encoding: str) -> None:
    """Also what looks like an escape itself, or becomes one with what stands beside it."""
    assume("*" not in secret and secret == secret.strip())
    masker = Masker()
    masker.add(secret)
    form = ENCODINGS[encoding](secret)
    masked = masker.mask_known(f"({form}, 1)")
    assert MASK in masked
    assert left_of(form, masked) == ""


def left_of(form: str, masked: str) -> str:
    """What masking left of a form that was its own: the same seven characters in a row, if there are any."""
    words = {form[at : at + 7] for at in range(len(form) - 6)}
    return next((word for word in words if word in masked and "  " not in word), "")


@pytest.mark.fault("canary-secret")
@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"Authorization: Bearer {JWT}", JWT),
        (f'{{"access_token": "{JWT}"}}', JWT),
        ("authorization: basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA"),
        ("Bearer abcdef0123456789", "abcdef0123456789"),
        ("postgresql://user:hunter22@host/db", "hunter22"),
        ("redis://:hunter22@host:6379/0", "hunter22"),
        ("{'password': 'hunter22', 'user': 'x'}", "hunter22"),
        ("X-API-Key: sk-0123456789", "sk-0123456789"),
        ("api_key=sk-0123456789&x=1", "sk-0123456789"),
        ("Set-Cookie: sid=0123456789abcdef; HttpOnly", "0123456789abcdef"),
        ("GET /feed?page=2&token=hunter22 HTTP/1.1", "hunter22"),
        ("https://host/x?X-Amz-Signature=0123456789abcdef&a=1", "0123456789abcdef"),
        ("--passphrase=hunter22", "hunter22"),
        ("api_key_v2: hunter22", "hunter22"),
    ],
)
def test_what_looks_like_a_credential_is_masked_unknown(text: str, secret: str) -> None:
    """Tokens, headers, passwords in URLs and fields of telling names are masked by their shape alone."""
    masked = Masker().mask(text)
    assert secret not in masked
    assert MASK in masked


@pytest.mark.parametrize(
    "text",
    [
        "assert 401 == 200",
        "https://host:8443/path?x=1",
        "password: None",
        "tests/test_password.py::test_secret_is_kept",
        "service 'auth' was not ready within 30 s",
        "{'token_type': 'bearer'}",
        "user@example.org wrote a bearer of news",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    """What only speaks of secrets is left as it is."""
    assert Masker().mask(text) == text


def test_a_short_value_is_masked_as_a_word_and_a_shorter_one_never() -> None:
    """A password `test` is no part of `test_a`; three characters would blank out ordinary words."""
    masker = Masker()
    masker.add_all(["test", "env", "", None])
    assert masker.mask("test_a of env: 'test', %20test") == f"test_a of env: '{MASK}', %20{MASK}"


@pytest.mark.fault("canary-secret")
@pytest.mark.parametrize("cut", ["...", "…"])
def test_what_is_left_of_a_secret_that_was_cut_is_gone(masker: Masker, cut: str) -> None:
    """A long repr is cut in its middle, and a long repr in its middle, and a summary at its end, by pytest: also within an escape."""
    whole = repr(CANARY)[1:-1]
    for size in range(8, len(whole)):
        for form in (whole, json.dumps(CANARY)[1:-1], base64_of(CANARY.encode(), offset=1)[2:]):
            masked = masker.mask_known(f"assert '{form[:size]}{cut}{form[-size:]}' == 1")
            assert re.search(r"[\w/+=]{4}", masked[8:-6]) is None


@pytest.mark.fault("canary-secret")
def test_each_line_of_a_key_is_gone(masker: Masker) -> None:
    """A private key shows line by line, behind pytest's margin; its header and footer are no secrets."""
    lines = [base64.b64encode(bytes(range(at, at + 48))).decode() for at in (0, 48, 96)]
    key = "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----", ""])
    masker.add(key)
    assert not any(line in masker.mask("\nE       ".join(key.splitlines())) for line in lines)
    assert not any(line in masker.mask(f"E     + {line}") for line in lines)
    assert masker.mask("-----BEGIN PRIVATE KEY-----") == "-----BEGIN PRIVATE KEY-----"


def test_the_longest_of_nested_secrets_goes_first() -> None:
    """A secret that contains another leaves no rest of itself."""
    masker = Masker()
    masker.add_all(["abcdef", "abcdef-and-more"])
    assert masker.mask("x abcdef-and-more y") == f"x {MASK} y"


@given(st.text(min_size=6), st.text(), st.text())
@example("\udc80" * 6, "", "")
def test_any_secret_is_gone_from_any_text(secret: str, before: str, after: str) -> None:
    """Whatever the secret is, also no valid Unicode, it is not in the masked text, unless stars spell it."""
    masker = Masker()
    masker.add(secret)
    masked = masker.mask(before + secret + after)
    assert secret not in masked.replace(MASK, "") or secret in (before + after)


@given(st.text())
def test_masking_twice_changes_nothing_more(text: str) -> None:
    """Texts are masked at capture and again when written."""
    masker = Masker()
    masker.add(CANARY)
    once = masker.mask(text)
    assert masker.mask(once) == once


@pytest.mark.parametrize(
    "text", ["password=hunter22", f"Authorization: Bearer {JWT}", "a://u:hunter22@h", "cookie: a=bcdefgh; path=/"]
)
def test_masking_a_credential_twice_changes_nothing_more(text: str) -> None:
    """The stars themselves are no credential."""
    once = Masker().mask(text)
    assert Masker().mask(once) == once


def test_secrets_may_be_added_while_others_mask(masker: Masker) -> None:
    """Threads that add and mask at the same time neither fail nor show a secret."""
    unmasked: list[str] = []

    def work(number: int) -> None:
        for step in range(15):
            secret = f"secret-{number}-{step}"
            masker.add(secret)
            if secret in masker.mask(f"the {secret} is out"):
                unmasked.append(secret)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert unmasked == []


@pytest.mark.fault("canary-secret")
def test_each_word_of_a_shape_is_suspected() -> None:
    """Else a shape would be searched for in a text, and passed over in a document of many."""
    words = [word for shape in masking._SHAPES for word in shape[0]]
    assert len(words) > 10
    for word in words:
        assert list(suspects(f"{word} {word.upper()}".encode())), word
    assert [*suspects(b"?token=x"), *suspects(b"&token=x")]


@pytest.mark.fault("canary-secret")
@pytest.mark.parametrize("others", [0, 100])
def test_a_secret_whose_beginning_repeats_is_found_behind_the_same_letters(others: int) -> None:
    """Among few secrets, which are searched for one by one, and among many."""
    masker = Masker()
    masker.add_all(["aaaaab-secret", *(f"other-{number:04}" for number in range(others))])
    assert masker.mask("aaaaaaab-secret") == f"aa{MASK}"


def test_a_secret_string_works_and_does_not_show() -> None:
    """In a header it is itself; in a repr, alone or in a container, it is stars."""
    secret = Secret(CANARY)
    assert f"Bearer {secret}" == f"Bearer {CANARY}"
    assert secret == CANARY
    assert CANARY not in repr({"token": secret, "all": [secret]})
    assert pickle.loads(pickle.dumps(secret)) == secret


@pytest.mark.parametrize(
    "variable",
    [
        *(
            "PASSWORD",
            "PGPASSWORD",
            "DB_PASSWD",
            "MYSQL_PASS",
            "DB_PWD",
            "SSH_PASSPHRASE",
            "PASSWORD_HASH",
            "db-password",
        ),
        *("JWT_SECRET", "SECRET_KEY_BASE", "CLIENT_SECRETS", "GOOGLE_CREDENTIALS", "AWS_ACCESS_KEY_ID"),
        *("API_KEY", "api_key", "apiKey", "API_KEY_V2", "API_KEY2", "APIKEY", "PRIVATE_KEY", "GITHUB_TOKEN", "GH_PAT"),
    ],
)
def test_a_variable_named_like_a_secret_is_one(variable: str) -> None:
    """In any case, glued or in words, versioned or not."""
    assert is_secret_name(variable)


@pytest.mark.parametrize(
    "variable",
    [
        *("", "PWD", "OLDPWD", "PATH", "COMPASS", "PATTERN", "KEYCLOAK_URL", "MONKEY", "TOKENIZERS_PARALLELISM"),
        *("TOKEN_URL", "TOKEN_TTL", "SECRET_NAME", "PGPASSFILE", "PASSWORD_FILE", "CACHE_KEY_PREFIX", "MAX_TOKENS"),
        *("JWT_PUBLIC_KEY", "DATABASE_URL", "SENTRY_DSN"),
    ],
)
def test_a_variable_that_only_resembles_a_secret_is_shown(variable: str) -> None:
    """Blanking its value would hide ordinary words; the password in a URL or a DSN is masked by its shape."""
    assert not is_secret_name(variable)


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("postgresql://u:p%40ss-word@host/db", ["p%40ss-word"]),
        ("https://host/feed?page=2&token=hunter22", ["hunter22"]),
        ("https://hooks.example.com/services/T024BE7LD/0123456789abcdefXYZ", ["0123456789abcdefXYZ"]),
        ("https://host/health/ready?verbose=1", []),
        ("no url", []),
        ("http://[", []),
    ],
)
def test_the_secrets_in_a_url_are_its_password_its_telling_parameters_and_its_tokens(
    url: str, secrets: list[str]
) -> None:
    """The host and the rest of the path are what a reader needs."""
    assert [secret for secret in secrets_in_url(url) if secret] == secrets


def test_the_password_of_a_url_is_masked_decoded_too() -> None:
    """A client decodes it, and shows it so in its messages."""
    masker = Masker()
    masker.add_all(secrets_among({"DATABASE_URL": "postgresql://u:p%40ss-word@host/db", "USER": "somebody"}))
    assert masker.mask("login p@ss-word of somebody") == f"login {MASK} of somebody"


def test_a_commands_options_of_telling_names_hold_secrets() -> None:
    """As one word or as two."""
    words = ("server", "--port", "8000", "--db-password=hunter22", "--api-key", "hunter33", "--token", "--verbose")
    assert list(secrets_in_command(words)) == ["hunter22", "hunter33"]
