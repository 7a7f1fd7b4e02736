"""The backend with each promise for a degraded environment broken: the tests of the promises must notice."""

from __future__ import annotations

from typing import Any

from environments.reference.backend import main
from environments.reference.backend.analytics import ClickHouse
from environments.reference.backend.redis_side import Hub


async def _publish(self: Hub, user_id: str, *_: Any) -> None:
    """Fail the run with the fan-out of its events."""
    await self._redis.publish(user_id, "")


def _dropped(_self: ClickHouse, _user_id: str) -> int:
    """Count what is lost wrongly."""
    return 7


Hub.publish = _publish  # type: ignore[method-assign]
ClickHouse.dropped = _dropped  # type: ignore[method-assign]
# What bounds the model's time is a setting.

if __name__ == "__main__":
    main()
