"""An event loop for tests that wait for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


class InlineLoop(asyncio.SelectorEventLoop):
    """An event loop that does at once what is meant for a thread: there is nothing to wait for meanwhile."""

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """Any: as in the base class."""
        done = self.create_future()
        asyncio._set_running_loop(None)
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        finally:
            asyncio._set_running_loop(self)
        return done
