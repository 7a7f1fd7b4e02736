"""Checks that `test_jwt_token` and `test_api_key` are accepted, and every forged variant of them is refused."""

from __future__ import annotations

import json
import time

import pytest

from envmatrix.causes import Breaker
from envmatrix.conformance.targets import Protected, accepting, api, bearer, everywhere, statuses
from envmatrix.contracts import Reality, RealServices
from envmatrix.environments import UserRoutes
from envmatrix.services.forgery import FORGERIES, decode, hs256
from envmatrix.services.kinds.http import new_client
from envmatrix.services.probes.exchanges import REFUSALS
from envmatrix.services.users import Users

pytestmark = pytest.mark.requires("multi_user")

PATIENCE = 5.0
"""Seconds past its lifetime until a token must be refused: clocks differ, and some allow a little leeway."""


def good_token(services: RealServices) -> str:
    """Return the fixture's token; fail without one, since the environment makes users, unless they hold a session."""
    if services.config["users"].get("session"):
        pytest.skip("users hold a session's cookie here, and no token")
    assert services.test_jwt_token, "the environment makes users, and test_jwt_token is empty"
    return services.test_jwt_token


def good_jwt(services: RealServices) -> str:
    """Return the fixture's token; skip where the environment's tokens are no JWTs, so that there is nothing to forge."""
    token = good_token(services)
    if not is_jwt(token) and services.users is not None and not is_jwt(services.users("opaque").token):
        pytest.skip("the tokens of this environment are opaque: no JWTs")
    return token


def is_jwt(token: str) -> bool:
    """Return whether a token can be read as a JWT."""
    try:
        decode(token)
    except ValueError:
        return False
    return True


def routes_of(reality: Reality) -> UserRoutes:
    """Return how the environment makes users."""
    assert reality.environment.users is not None
    return reality.environment.users


@pytest.mark.promise("a good token is refused", Breaker.PRODUCT)
def test_jwt_token_is_accepted(real_services: RealServices, matrix_reality: Reality) -> None:
    """Every protected path answers 200 to it."""
    assert statuses(matrix_reality, bearer(good_token(real_services))) == everywhere(matrix_reality, 200)


@pytest.mark.promise("the token is no JWT that ends", Breaker.PRODUCT)
def test_jwt_token_tells_when_it_ends(real_services: RealServices) -> None:
    """It is a JWT that has not expired, and that will."""
    _, claims, _ = decode(good_jwt(real_services))
    assert claims["exp"] > time.time()


@pytest.mark.promise("a request without a token is accepted", Breaker.PRODUCT)
def test_no_token_is_refused(matrix_reality: Reality) -> None:
    """Every protected path answers 401 or 403 to a request without a token."""
    assert accepting(matrix_reality, {}) == {}


@pytest.mark.parametrize("variant", FORGERIES)
@pytest.mark.promise("a forged token is accepted", Breaker.PRODUCT)
def test_forged_token_is_refused(real_services: RealServices, matrix_reality: Reality, variant: str) -> None:
    """Whatever is changed about a good token makes it worthless."""
    forged = FORGERIES[variant](good_jwt(real_services))
    assert accepting(matrix_reality, bearer(forged)) == {}


@pytest.mark.promise("a token signed with the public key is accepted", Breaker.PRODUCT)
def test_token_signed_with_the_public_key_is_refused(real_services: RealServices, matrix_reality: Reality) -> None:
    """A verifier that takes the algorithm from the token would use its public key as a shared secret."""
    with new_client(matrix_reality.endpoints[routes_of(matrix_reality).service]) as client:
        answer = client.get("/.well-known/jwks.json")
    if answer.status_code != 200:
        pytest.skip("the service that makes users publishes no key set")
    header, claims, _ = decode(good_jwt(real_services))
    keys = [answer.content, *(json.dumps(key).encode() for key in answer.json()["keys"])]
    answers = [accepting(matrix_reality, bearer(hs256(header, claims, key))) for key in keys]
    assert answers == [{}] * len(keys)


@pytest.mark.promise("a token that brings its own key is accepted", Breaker.PRODUCT)
def test_token_that_brings_its_own_key_is_refused(real_services: RealServices, matrix_reality: Reality) -> None:
    """A good signature by a key that only the token itself vouches for is worth nothing."""
    joserfc = pytest.importorskip("joserfc.jws", reason="signing with a foreign key needs joserfc (extra: embedded)")
    from joserfc.jwk import ECKey, RSAKey

    header, claims, _ = decode(good_jwt(real_services))
    key = RSAKey.generate_key(2048) if header["alg"][:2] in {"RS", "PS"} else ECKey.generate_key("P-256")
    algorithm = "RS256" if isinstance(key, RSAKey) else "ES256"
    header |= {"alg": algorithm, "jwk": key.as_dict(private=False)}
    forged = joserfc.serialize_compact(header, json.dumps(claims).encode(), key, algorithms=[algorithm])
    assert accepting(matrix_reality, bearer(forged)) == {}


@pytest.mark.promise("an expired token is accepted", Breaker.PRODUCT)
def test_expired_token_is_refused(users: Users, matrix_reality: Reality) -> None:
    """A genuine token that lives one second is refused after it."""
    parameter = routes_of(matrix_reality).lifetime_parameter
    if parameter is None:
        pytest.skip("[users] declares no lifetime_parameter: no genuine expired token to be had")
    token = users.token_for(users("expiring"), **{parameter: 1})
    target = api(matrix_reality)
    deadline = time.monotonic() + 1 + PATIENCE
    while target.status(bearer(token)) not in REFUSALS:
        assert time.monotonic() < deadline, f"still accepted {PATIENCE:.0f} s after its end"
        time.sleep(0.05)
    assert accepting(matrix_reality, bearer(token)) == {}


@pytest.mark.promise("a token for another audience is accepted", Breaker.PRODUCT)
def test_token_for_another_audience_is_refused(users: Users, matrix_reality: Reality) -> None:
    """A genuine token for another audience is refused at every protected path."""
    routes = routes_of(matrix_reality)
    if routes.audience_parameter is None or routes.foreign_audience is None:
        pytest.skip("[users] declares no foreign_audience: no genuine token of another audience to be had")
    token = users.token_for(users("foreign"), **{routes.audience_parameter: routes.foreign_audience})
    assert api(matrix_reality).status(bearer(token)) in REFUSALS


def api_that_takes_keys(services: RealServices, reality: Reality) -> tuple[Protected, str, str]:
    """Return the protected path, the header and the fixture's API key; skip without a key."""
    if routes_of(reality).api_keys is None:
        pytest.skip("[users] declares no api_keys: this environment has none")
    assert services.test_api_key, "the environment has API keys, and test_api_key is empty"
    return api(reality), routes_of(reality).api_key_header, services.test_api_key


@pytest.mark.requires("backend")
@pytest.mark.promise("a good API key is refused", Breaker.PRODUCT)
def test_api_key_is_accepted(real_services: RealServices, matrix_reality: Reality) -> None:
    """The backend answers 200 to the key alone."""
    target, header, key = api_that_takes_keys(real_services, matrix_reality)
    assert target.status({header: key}) == 200


@pytest.mark.requires("backend")
@pytest.mark.promise("a mangled API key is accepted", Breaker.PRODUCT)
def test_mangled_api_key_is_refused(real_services: RealServices, matrix_reality: Reality) -> None:
    """One character changed, one missing, or nothing left: refused."""
    target, header, key = api_that_takes_keys(real_services, matrix_reality)
    changed = key[:-1] + ("x" if key[-1] != "x" else "y")
    assert {target.status({header: mangled}) for mangled in (changed, key[:-1], "")} <= REFUSALS
