"""The gate: whether an agent may act in this process, answered from memory."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ParamSpec, TypeVar, cast

P = ParamSpec('P')
R = TypeVar('R')

#: The agent is held. The bridge uses the same code.
HELD = 'R_SUSPENDED'
#: Nothing was heard of the bridge for too long, or not yet: whether the agent is held is not known.
SILENT = 'R_SILENT'


@dataclass(frozen=True)
class Verdict:
    """True when the agent may act."""

    did: str
    codes: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        return not self.codes

    def __bool__(self) -> bool:
        return self.allowed


class Denied(PermissionError):
    """The gate is closed for the agent."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(f'{verdict.did} may not act: {", ".join(verdict.codes)}')
        self.verdict = verdict


class Gate:
    """Ask before each action, not once per task: a hold that comes in between counts from then on."""

    def __init__(self, codes: Callable[[str], tuple[str, ...]]) -> None:
        self._codes = codes

    def check(self, did: object) -> Verdict:
        """Whether the agent may act now. Takes a DID as text or as AGT's object; never blocks, never raises."""
        text = str(did)
        return Verdict(text, self._codes(text))

    def require(self, did: object) -> None:
        """Raises Denied when the agent may not act."""
        verdict = self.check(did)
        if not verdict:
            raise Denied(verdict)

    @contextmanager
    def acting(self, did: object) -> Iterator[None]:
        """``with gate.acting(did): …`` raises Denied before the block when the agent may not act, and after it when it
        may no longer: what the block returned or wrote is then not to be used."""
        self.require(did)
        yield
        self.require(did)

    def guard(self, did: object) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """``@gate.guard(did)`` for functions and coroutine functions; raises Denied instead of calling.

        ``did`` may be a function of the call's arguments. A coroutine is checked when it starts to run.
        """

        def decorate(function: Callable[P, R]) -> Callable[P, R]:
            def subject(*args: P.args, **kwargs: P.kwargs) -> object:
                return did(*args, **kwargs) if callable(did) else did

            if inspect.iscoroutinefunction(function):
                run = cast('Callable[P, Awaitable[object]]', function)

                @functools.wraps(function)
                async def guarded_later(*args: P.args, **kwargs: P.kwargs) -> object:
                    self.require(subject(*args, **kwargs))
                    return await run(*args, **kwargs)

                return cast('Callable[P, R]', guarded_later)

            @functools.wraps(function)
            def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
                self.require(subject(*args, **kwargs))
                return function(*args, **kwargs)

            return guarded

        return decorate
