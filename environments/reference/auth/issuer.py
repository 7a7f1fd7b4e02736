"""Issues tokens, and decides which of them are still valid."""

from __future__ import annotations

from joserfc.jwk import KeySet

from environments.reference import tokens
from environments.reference.auth import passwords
from environments.reference.auth.models import Login, Signup, TokenPair
from environments.reference.auth.settings import TokenSettings
from environments.reference.auth.store import Session, Store


class RefusedError(Exception):
    """The credentials are refused; the text says why, as far as the client may know."""


class Issuer:
    """The auth service without its HTTP surface; kept as `app.state.issuer`."""

    def __init__(self, settings: TokenSettings, store: Store) -> None:
        self.settings = settings
        self.store = store
        self._hasher = passwords.Hasher(settings.password_memory_kib, settings.password_passes)

    async def sign_up(self, signup: Signup) -> str | None:
        """Return the new user's id; None: the address is taken."""
        password_hash = await self._hasher.hash(signup.password.get_secret_value())
        return await self.store.add_user(signup.email, signup.name, password_hash)

    async def log_in(self, login: Login) -> TokenPair:
        """Open a session.

        Raises:
            RefusedError: wrong email or password; it does not say which, nor by the time it takes.
        """
        user_id, password_hash = await self.store.credentials(login.email) or (None, None)
        matches = await self._hasher.matches(password_hash, login.password.get_secret_value())
        if user_id is None or not matches:
            raise RefusedError("wrong email or password")
        refresh_token = passwords.new_secret()
        session = await self.store.open_session(
            user_id,
            login.audience or self.settings.audience,
            passwords.digest(refresh_token),
            self.settings.refresh_token_seconds,
        )
        return await self._pair(session, refresh_token, login.expires_in)

    async def refresh(self, refresh_token: str) -> TokenPair:
        """Trade a refresh token for the next pair.

        Raises:
            RefusedError: it is unknown, expired or revoked; or it was used before, and the session ends.
        """
        fresh = passwords.new_secret()
        session = await self.store.rotate(
            passwords.digest(refresh_token), passwords.digest(fresh), self.settings.refresh_token_seconds
        )
        if session is None:
            raise RefusedError("invalid refresh token")
        return await self._pair(session, fresh)

    async def key_set(self) -> KeySet:
        """Return the keys that verify what we sign."""
        return KeySet([await self.store.signing_key()])

    async def claims(self, token: str) -> tokens.Claims:
        """Return what a token says.

        Raises:
            RefusedError: it is not valid, or its session has ended.
        """
        keys, settings = await self.key_set(), self.settings
        try:
            claims = tokens.verify(token, keys, issuer=settings.issuer, audience=settings.audience)
        except tokens.TokenError as error:
            raise RefusedError(str(error)) from None
        if not await self.store.session_active(claims.session_id):
            raise RefusedError("token revoked")
        return claims

    async def _pair(self, session: Session, refresh_token: str, expires_in: int | None = None) -> TokenPair:
        lifetime = min(expires_in or self.settings.access_token_seconds, self.settings.access_token_seconds)
        access = tokens.issue(
            await self.store.signing_key(),
            issuer=self.settings.issuer,
            audience=session.audience,
            user_id=session.user_id,
            session_id=session.session_id,
            lifetime=lifetime,
        )
        return TokenPair(access_token=access, refresh_token=refresh_token, expires_in=lifetime, user_id=session.user_id)
