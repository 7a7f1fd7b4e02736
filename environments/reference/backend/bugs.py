"""The backend's deliberate bugs: one user's words or identity taken for another's, events lost, data kept or wiped."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextvars import ContextVar
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from environments.reference.backend import agents, connection, protocol, redis_side, store, tools
from environments.reference.backend.authenticate import Authenticator, Principal, UnauthorizedError
from environments.reference.backend.connection import Connection
from environments.reference.backend.language_model import LanguageModel
from environments.reference.backend.protocol import GetThread, ProtocolError, Subscribe
from environments.reference.backend.redis_side import State
from environments.reference.backend.store import Store, Thread
from environments.reference.planted import Bug, bug, is_on

THREADS = "SELECT id AS thread_id, title, created_at FROM backend.threads"
FEW, MANY = 5, 9
"""How many users at once are too many for `few_users` and `many_users`."""


# Another user's data is shown or changed


@bug("threads", Store, "threads")
async def _lists_everybodys_threads(_right: Any, self: Store, _user_id: str) -> list[Thread]:
    return [Thread(**row) for row in await self._database.rows(THREADS)]


@bug("threads", Store, "thread")
async def _finds_a_thread_by_its_id_alone(_right: Any, self: Store, _user_id: str, thread_id: UUID) -> Thread | None:
    row = await self._database.row(f"{THREADS} WHERE id = %s", thread_id)
    return Thread(**row) if row else None


@bug("get_thread", Store, "messages")
async def _shows_messages_of_any_thread(right: Any, self: Store, _user_id: str, thread_id: UUID) -> Any:
    return await right(self, await _owner(self, thread_id), thread_id)


def _opens_any_thread(kind: type[GetThread | Subscribe]) -> Bug:
    async def wrong(right: Any, self: Connection, request: GetThread | Subscribe) -> Any:
        return await (_thread(self, request) if isinstance(request, kind) else right(self, request))

    return wrong


bug("get_thread", Connection, "_own_thread")(_opens_any_thread(GetThread))
bug("subscribe", Connection, "_own_thread")(_opens_any_thread(Subscribe))


@bug("subscribe", redis_side, "_channel")
def _has_one_channel_for_all_users(right: Any, user_id: str, thread_id: str) -> Any:
    return right("*" if user_id == "*" else "everybody", thread_id)


@bug("continue", Store, "add_message")
async def _adds_to_any_thread(right: Any, self: Store, _user_id: str, thread_id: UUID, *message: Any) -> Any:
    return await right(self, await _owner(self, thread_id), thread_id, *message)


@bug("state", State, "get")
@bug("state", State, "put")
async def _keeps_one_state_for_all_users(right: Any, self: State, _user_id: str, *of: Any) -> Any:
    return await right(self, "everybody", *of)


@bug("costs", Store, "counts")
async def _counts_everybodys_messages(_right: Any, self: Store, _user_id: str) -> dict[str, int]:
    row = await self._database.row(
        "SELECT (SELECT count(*) FROM backend.threads) AS threads, (SELECT count(*) FROM backend.messages) AS messages"
    )
    return dict(row or {})


_connections: set[Connection] = set()


@bug("events", Connection, "run")
@bug("few_users", Connection, "run")
@bug("many_users", Connection, "run")
async def _is_known(right: Any, self: Connection) -> None:
    _connections.add(self)
    try:
        await right(self)
    finally:
        _connections.discard(self)


@bug("events", Connection, "_emit")
async def _tells_every_connection(right: Any, self: Connection, thread_id: UUID, happened: dict[str, Any]) -> None:
    await right(self, thread_id, happened)
    for each in _connections - {self}:
        await each._outbox.put(happened)  # noqa: SLF001  our own class


_told: list[store.Message] = []


@bug("context", agents, "before")
def _shows_the_model_what_everybody_said(
    right: Any, messages: Sequence[store.Message], message_id: int, most: int
) -> Any:
    _told.extend(message for message in messages if message not in _told)
    return right(sorted(_told, key=lambda message: message.message_id), message_id, most)


_answers: dict[int, str] = {}


@bug("answers", LanguageModel, "complete")
async def _gives_everybody_the_first_answer(right: Any, self: LanguageModel, messages: Any) -> Any:
    if id(self) not in _answers:
        _answers[id(self)] = await right(self, messages)
    return _answers[id(self)]


_figures: list[float] = []


@bug("figures", tools, "numbers_in")
def _adds_the_figures_of_all_requests(right: Any, message: str) -> Any:
    _figures.extend(right(message))
    return list(_figures)


@bug("existence", Connection, "_own_thread")
async def _tells_that_a_thread_is_another_users(right: Any, self: Connection, request: GetThread | Subscribe) -> Thread:
    try:
        return await right(self, request)  # type: ignore[no-any-return]
    except ProtocolError:
        await _thread(self, request)
        raise ProtocolError("forbidden", thread_id=request.thread_id) from None


async def _thread(self: Connection, request: GetThread | Subscribe) -> Thread:
    """Return a thread, whosever it is."""
    row = await self._parts.store._database.row(f"{THREADS} WHERE id = %s", UUID(request.thread_id))  # noqa: SLF001
    if row is None:
        raise ProtocolError("access denied", thread_id=request.thread_id)
    return Thread(**row)


async def _owner(self: Store, thread_id: UUID) -> str:
    row = await self._database.row("SELECT user_id::text FROM backend.threads WHERE id = %s", thread_id)
    return str(row["user_id"]) if row else "00000000-0000-0000-0000-000000000000"


# A client is believed who it says it is

CLAIMS = ("query", "header", "cookie", "path", "body", "subprotocol", "message", "context")
"""What the user id is read from, a bug each: `trusts_NAME`."""

_claim: ContextVar[str] = ContextVar("claim", default="")


class Claims:
    """Reads the user id that a request claims, from where the bug in force believes it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note the claim, and pass the request on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        if is_on("trusts_query"):
            _claim.set(parse_qs(scope["query_string"].decode()).get("user_id", [""])[0])
        if is_on("trusts_header"):
            _claim.set(headers.get("x-user-id", ""))
        if is_on("trusts_cookie"):
            cookie = SimpleCookie(headers.get("cookie", "")).get("user_id")
            _claim.set(cookie.value if cookie else "")
        if is_on("trusts_subprotocol"):
            offered = headers.get("sec-websocket-protocol", "").replace(" ", "").split(",")
            _claim.set(next((name.removeprefix("user.") for name in offered if name.startswith("user.")), ""))
        if is_on("trusts_path") and scope["path"].startswith("/api/users/"):
            _, _, _, user_id, *rest = scope["path"].split("/")
            _claim.set(user_id)
            scope = {**scope, "path": "/".join(["/api", *rest])}
        if is_on("trusts_body") and scope["type"] == "http":
            receive = await self._read(receive)
        await self._app(scope, receive, send)

    async def _read(self, receive: Receive) -> Receive:
        whole, more = b"", True
        while more:
            message = await receive()
            whole, more = whole + message.get("body", b""), message.get("more_body", False)
        _note(whole)

        async def again() -> Message:
            return {"type": "http.request", "body": whole}

        return again


def _note(text: str | bytes, *inside: str) -> None:
    try:
        value = json.loads(text)
        for key in inside:
            value = value[key]
        _claim.set(value["user_id"])
    except (ValueError, TypeError, LookupError):
        _claim.set("")


@bug("trusts_message", connection, "parse")
def _believes_a_message(right: Any, text: str | None) -> Any:
    _note(text or "")
    return right(text)


@bug("trusts_context", connection, "parse")
def _believes_the_context_of_a_message(right: Any, text: str | None) -> Any:
    _note(text or "", "context")
    return right(text)


async def _believes(right: Any, self: Authenticator, headers: Any) -> Principal:
    principal: Principal = await right(self, headers)
    return Principal(_claim.get(), principal.method) if _claim.get() else principal


async def _acts_for_whom_a_message_names(right: Any, self: Connection, request: protocol.Request) -> None:
    if _claim.get():
        self._principal = Principal(_claim.get(), "jwt")
    await right(self, request)


for _name in CLAIMS:
    bug(f"trusts_{_name}", Authenticator, "principal")(_believes)
    bug(f"trusts_{_name}", Connection, "_dispatch")(_acts_for_whom_a_message_names)


@bug("anonymous", Authenticator, "principal")
async def _admits_the_anonymous(right: Any, self: Authenticator, headers: Any) -> Any:
    try:
        return await right(self, headers)
    except UnauthorizedError:
        return Principal("00000000-0000-0000-0000-000000000000", "jwt")


_principals: dict[str, Principal] = {}


@bug("sessions_never_end", Authenticator, "principal")
async def _remembers_a_token_for_ever(right: Any, self: Authenticator, headers: Any) -> Principal:
    token = headers.get("authorization", "")
    if token not in _principals:
        _principals[token] = await right(self, headers)
    return _principals[token]


# Events are lost, doubled or misdirected


@bug("few_users", Connection, "_emit")
async def _drops_an_event_under_load(right: Any, self: Connection, thread_id: UUID, happened: dict[str, Any]) -> None:
    if happened["type"] != "tool_executing" or _users_at_once() < FEW:
        await right(self, thread_id, happened)


@bug("many_users", Connection, "_emit")
async def _misdirects_an_event_under_load(
    right: Any, self: Connection, thread_id: UUID, happened: dict[str, Any]
) -> None:
    if happened["type"] == "tool_completed" and _users_at_once() >= MANY:
        self = next(each for each in _connections if each is not self)
    await right(self, thread_id, happened)


def _users_at_once() -> int:
    return len({each._principal.user_id for each in _connections})  # noqa: SLF001  our own class


@bug("event_doubled", Connection, "_emit")
async def _sends_the_last_event_twice(right: Any, self: Connection, thread_id: UUID, happened: dict[str, Any]) -> None:
    if happened["type"] == "agent_completed":
        await self._outbox.put(happened)
    await right(self, thread_id, happened)


_late: dict[str, dict[str, Any]] = {}


@bug("event_late", Connection, "_emit")
async def _swaps_two_events(right: Any, self: Connection, thread_id: UUID, happened: dict[str, Any]) -> None:
    run = happened["data"]["run_id"]
    if happened["type"] == "agent_thinking":
        _late[run] = happened
        return
    await right(self, thread_id, happened)
    if run in _late:
        await right(self, thread_id, _late.pop(run))


@bug("event_without_zone", agents, "event")
def _tells_local_time(right: Any, kind: str, **data: Any) -> Any:
    happened = right(kind, **data)
    return {**happened, "timestamp": happened["timestamp"].partition("+")[0]}


@bug("one_at_a_time", Connection, "_begin")
def _refuses_a_second_request(right: Any, self: Connection, request: protocol.Request) -> None:
    if self._work:
        raise ProtocolError("too many requests")
    right(self, request)


# Data is lost, kept or wiped


@bug("delete_everybody", Store, "forget")
async def _deletes_everybodys_threads(_right: Any, self: Store, _user_id: str) -> None:
    await self._database.rows("DELETE FROM backend.threads")


@bug("delete_nothing", Store, "forget")
@bug("delete_nothing", State, "forget")
@bug("delete_keeps_state", State, "forget")
async def _deletes_nothing(_right: Any, *_: Any) -> None:
    await asyncio.sleep(0)


@bug("state_expires", State, "put")
async def _forgets_state_in_seconds(right: Any, self: State, user_id: str, *of: Any) -> None:
    await right(self, user_id, *of)
    await self._redis.expire(f"state:{user_id}", 3)


@bug("state_is_one_value", State, "get")
@bug("state_is_one_value", State, "put")
async def _ignores_the_key(right: Any, self: State, user_id: str, _key: str, *of: Any) -> Any:
    return await right(self, user_id, "key", *of)


@bug("answer_lost", Store, "add_message")
async def _keeps_no_answer(right: Any, self: Store, user_id: str, thread_id: UUID, role: str, *of: Any) -> Any:
    return await right(self, user_id, thread_id, role, *of) if role == "user" else 0


@bug("history_reversed", Store, "messages")
async def _shows_the_newest_first(right: Any, self: Store, *of: Any) -> Any:
    return list(reversed(await right(self, *of)))


@bug("null_titles", Store, "add_thread")
async def _forgets_titles(right: Any, self: Store, user_id: str, _title: str) -> Any:
    return await right(self, user_id, "")
