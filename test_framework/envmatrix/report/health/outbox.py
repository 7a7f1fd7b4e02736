"""Delivery in the background: a receiver that is slow or gone holds nothing up."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from queue import Full, Queue
from typing import Generic, TypeVar

from envmatrix.masking import one_line
from envmatrix.safety.unpatched import text_of

Message = TypeVar("Message")


class Outbox(Generic[Message]):
    """Hands messages to one receiver, each after the one before; what cannot be delivered is said on standard error."""

    def __init__(self, receiver: str, deliver: Callable[[Message], object], size: int = 100) -> None:
        """Start; `size` messages may wait, and no more are taken, so that memory stays flat."""
        self._receiver = receiver
        self._deliver = deliver
        self._queue: Queue[Message] = Queue(size)
        self._said = ""
        threading.Thread(target=self._run, name=f"outbox {receiver}", daemon=True).start()

    @property
    def waiting(self) -> int:
        """Return how many messages are not delivered yet, nor given up."""
        return self._queue.unfinished_tasks

    def put(self, message: Message) -> None:
        """Take a message; one for which there is no room is dropped, and that said."""
        try:
            self._queue.put_nowait(message)
        except Full:
            self.say(f"a message was dropped: {self._queue.maxsize} wait already")

    def say(self, what: str) -> None:
        """Warn on standard error of what becomes of messages, once for all of a row that meet the same."""
        if what == self._said:
            return
        self._said = what
        print(one_line(f"warning: {self._receiver}: {what}"), file=sys.stderr, flush=True)  # noqa: T201  a warning is output

    def _run(self) -> None:
        while True:
            message = self._queue.get()
            try:
                self._deliver(message)
                self._said = ""
            except Exception as error:  # noqa: BLE001  each client has errors of its own, and the next message may do
                self.say(f"a message was not delivered: {text_of(error)}")
            finally:
                self._queue.task_done()
