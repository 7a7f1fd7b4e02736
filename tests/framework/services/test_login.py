"""Logins as products have them: a form, a nested token, a session behind a CSRF guard, accounts that are there already."""

from __future__ import annotations

import json
import secrets
import urllib.parse
from collections.abc import Iterator, Mapping
from http.cookies import SimpleCookie

import pytest

from envmatrix.environments import ServiceSpec, Source, UserRoutes
from envmatrix.exceptions import NoAccountError, UserError
from envmatrix.masking import MASK, MASKER
from envmatrix.services import get_kind
from envmatrix.services.users import Target, Users
from tests.framework.environments.declare import declare, load, refusal
from tests.framework.services.servers import Web, web

KIND = get_kind("http")
PASSWORDS = {"ann": "ann-hunter2", "bob": "bob-hunter2", "root": "root-hunter2", "eve": "eve-hunter2"}
ACCOUNTS = (
    {"email": "root", "password": PASSWORDS["root"], "role": "admin"},
    {"email": "ann", "password": PASSWORDS["ann"]},
    {"email": "bob", "password": PASSWORDS["bob"]},
    {"email": "eve", "password": PASSWORDS["eve"], "tenant": "acme"},
)


class Product:
    """A product whose logins are JSON, a form, or a session with a guard as Django's."""

    def __init__(self) -> None:
        self.tokens: dict[str, str] = {}
        self.bodies: list[bytes] = []

    def token(self, _: Mapping[str, str], body: bytes) -> tuple[int, object]:
        """A token for a form with `username` and `password`."""
        self.bodies.append(body)
        form = dict(urllib.parse.parse_qsl(body.decode()))
        name = form.get("username", "")
        if not name or form.get("password") != PASSWORDS.get(name):
            return 400, {"detail": "Incorrect email or password"}
        token = secrets.token_hex(12)
        self.tokens[token] = name
        return 200, {"data": {"token": token}, "user_id": 7 if name == "root" else None}

    def session(self, headers: Mapping[str, str], body: bytes) -> tuple[int, object, dict[str, str]]:
        """A page that sets the guard's cookie; a login that redirects with a session, or shows the page again."""
        cookies = SimpleCookie(headers.get("Cookie", ""))
        guard = cookies["csrftoken"].value if "csrftoken" in cookies else ""
        if not body:
            return 200, "<form>", {"Set-Cookie": f"csrftoken={secrets.token_hex(8)}; Path=/"}
        if not guard or headers.get("X-CSRFToken") != guard or not headers.get("Referer"):
            return 403, "CSRF verification failed", {}
        form = dict(urllib.parse.parse_qsl(body.decode()))
        if form.get("password") != PASSWORDS.get(form.get("login", "")):
            return 200, "<form>Please enter a correct name", {}
        key = secrets.token_hex(12)
        self.tokens[key] = form["login"]
        return 302, "/", {"Set-Cookie": f"sessionid={key}; HttpOnly; Path=/"}

    def me(self, headers: Mapping[str, str], _: bytes) -> tuple[int, object]:
        """Who asks, by a token or by a session; what changes anything needs the guard."""
        cookies = SimpleCookie(headers.get("Cookie", ""))
        key = cookies["sessionid"].value if "sessionid" in cookies else ""
        if key and headers.get("Content-Length") and headers.get("X-CSRFToken") != cookies["csrftoken"].value:
            return 403, "CSRF verification failed"
        name = self.tokens.get(key or (headers.get("Authorization") or "").removeprefix("Bearer "))
        return (200, {"name": name}) if name else (403, {})


@pytest.fixture
def product() -> Iterator[tuple[Product, Web]]:
    """A running product."""
    state = Product()
    with web({"/token": state.token, "/login/": state.session, "/me": state.me, "/": (200, "home")}) as site:
        yield state, site


def users_of(url: str, **routes) -> Users:
    """Return the users of a product."""
    spec = ServiceSpec(name="shop", kind="http", source=Source.REMOTE, url=url)
    endpoint = KIND.connect(spec, url)
    return Users(Target(UserRoutes.model_validate({"service": "shop", **routes}), endpoint, endpoint), "x")


FORM = {"login": "/token", "encoding": "form", "fields": {"email": "username"}, "token": "data.token"}
SESSION = {
    "login": "/login/",
    "encoding": "form",
    "fields": {"email": "login"},
    "session": "sessionid",
    "csrf": {},
    "accounts": ACCOUNTS,
}


def test_a_form_login_with_a_nested_token(product: tuple[Product, Web]):
    """FastAPI's form: `username` and `password`, encoded; the token is where the declaration says, and secret."""
    users = users_of(product[1].url, **FORM, accounts=ACCOUNTS)
    ann = users()
    assert product[0].bodies == [b"username=ann&password=ann-hunter2"]
    assert (ann.email, ann.id, MASKER.mask(ann.token)) == ("ann", "ann", MASK)
    with ann.client() as client:
        assert client.get("/me").json() == {"name": "ann"}
    users.close(delete=True)


def test_a_session_with_a_guard(product: tuple[Product, Web]):
    """A cookie in place of a token, and the guard's cookie in its header, at the login and with what changes anything."""
    users = users_of(product[1].url, **SESSION)
    ann, bob = users.many(2)
    for user, name in ((ann, "ann"), (bob, "bob")):
        with user.client() as client:
            assert client.get("/me").json() == {"name": name}
            assert client.post("/me", json={}).json() == {"name": name}
    assert ann.token == ""
    assert MASKER.mask(ann.headers["Cookie"].rpartition("=")[2]) == MASK
    product[0].tokens.clear()
    with users.again(ann).client() as client:
        assert client.get("/me").json() == {"name": "ann"}
    users.close(delete=True)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (
            {"accounts": [{"email": "ann", "password": "wrong-wrong"}]},
            "answered 200 at /login/ without the cookie 'sessionid'",
        ),
        ({"csrf": {"cookie": "xsrf"}}, "GET /login/ sets no cookie 'xsrf'"),
        ({"csrf": None}, "answered 403 at /login/ without the cookie 'sessionid'"),
        ({"session": None, "csrf": None, "login": "/token"}, "answered 400 at /token: .*Incorrect email or password"),
        (FORM | {"session": None, "csrf": None, "token": "token"}, "answered 200 at /token without 'token'"),
    ],
)
def test_a_refused_login_says_what_is_missing(product: tuple[Product, Web], change: dict, error: str):
    """The step, the status and what the declaration made us expect; a form that is shown again is no login."""
    routes = {key: value for key, value in (SESSION | change).items() if value is not None}
    users = users_of(product[1].url, **routes)
    with pytest.raises(UserError, match=error):
        users()
    users.close(delete=False)


def test_accounts_are_handed_out_once(product: tuple[Product, Web]):
    """By role, and by tenant, each once until the test gives them back; one of a role is the last to go without asking."""
    users = users_of(product[1].url, **FORM, accounts=ACCOUNTS)
    assert [users("admin").email, users("any").email, users(tenant="acme").email] == ["root", "ann", "eve"]
    kept = users()
    assert kept.email == "bob"
    for name, tenant, fit in (
        ("admin", "", "1 of 4"),
        ("user", "", "3 of 4"),
        ("user", "acme", "1 of 4"),
        ("user", "x", "0"),
    ):
        with pytest.raises(NoAccountError, match=f"no account is left for '{name}'.*: {fit}"):
            users(name, tenant=tenant)
    users.release(kept)
    assert [user.email for user in users.many(2)] == ["ann", "root"]
    assert users.close(delete=True) == ()


def test_fresh_users_beside_an_admin(product: tuple[Product, Web]):
    """Where anybody may sign up, only the roles of accounts are theirs, and all others are fresh."""

    def sign_up(_: Mapping[str, str], body: bytes) -> tuple[int, object]:
        user = json.loads(body)
        PASSWORDS[user["email"]] = user["password"]
        return 201, {"id": "new"}

    product[1].answers["/signup"] = sign_up
    users = users_of(product[1].url, **FORM, signup="/signup", accounts=ACCOUNTS)
    assert [users("admin").email, users("admin2").id, users().id] == ["root", "new", "new"]
    users.close(delete=False)


USERS = '[services.shop]\nkind = "http"\nsource = "remote"\nurl = "http://h"\n[users]\nservice = "shop"\nlogin = "/l"\n'


@pytest.mark.fault("unknown-key")
@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ("", "it needs signup, or [[users.accounts]]"),
        ('signup = "/s"\ncsrf = {}', "csrf guards a session"),
        ('signup = "/s"\nsession = "id"\ntoken = "t"', "a login gives a session or a token"),
        ('[[users.accounts]]\nemail = "a"', "users.accounts 1 needs the key 'password'"),
    ],
)
def test_a_wrong_declaration_is_one_line(tmp_path, lines: str, error: str):
    """What cannot log anybody in is refused before anything is started."""
    assert error in refusal(tmp_path, f"{USERS}{lines}\n")


@pytest.mark.fault("canary-secret")
def test_passwords_of_accounts_are_masked(tmp_path):
    """They come from variables, and are shown nowhere."""
    declare(tmp_path, USERS + '[[users.accounts]]\nemail = "ann"\npassword = "${PW}"\n')
    loaded = load(tmp_path, PW="account-hidden-1")
    assert MASKER.mask("account-hidden-1") == MASK
    assert "account-hidden-1" not in f"{loaded!r} {loaded.masked()}"
