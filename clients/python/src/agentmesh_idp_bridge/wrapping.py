"""Stands between a host and its kill switch: each kill is recorded first, and nobody starts who must not."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any

from .agt import KillSwitchLike, handle_of
from .local import Stops

log = logging.getLogger('agentmesh_idp_bridge')

_MARK = '_idp_bridge'


def is_wrapped(switch: KillSwitchLike) -> bool:
    return _MARK in vars(switch)


def wrap(
    switch: KillSwitchLike,
    stops: Stops,
    record: Callable[[str, Mapping[str, Any]], None],
    must_stop: Callable[[str], str | None],
) -> Callable[[], None]:
    """Puts itself over ``kill`` and ``register_agent`` of this one switch; the function given back takes it away.

    ``record`` is called with the arguments of each kill before AGT sees it, ``must_stop`` when an agent is registered:
    with a text it is stopped at once.
    """
    # Bound now: a subclass of the host's, or what it has put over them, is called with all it does.
    original_kill: Callable[..., Any] = switch.kill
    original_register: Callable[..., Any] = switch.register_agent
    kill_signature, register_signature = inspect.signature(original_kill), inspect.signature(original_register)

    @functools.wraps(original_kill)
    def kill(*args: Any, **kwargs: Any) -> Any:
        arguments = kill_signature.bind(*args, **kwargs).arguments
        did = _did_of(arguments)
        # A host that answers a stop of ours with a kill of the same agent: the bridge knows of it.
        answering = stops.is_answering(did)
        stops.begin(did)
        terminated: bool | None = None
        try:
            if not answering:
                _record(record, did, arguments)
            runs = handle_of(switch, did) is not None
            terminated = False if runs else None
            result = original_kill(*args, **kwargs)
            if runs:
                terminated = bool(getattr(result, 'terminated', False))
            return result
        finally:
            stops.end(did, terminated)

    @functools.wraps(original_register)
    def register_agent(*args: Any, **kwargs: Any) -> Any:
        did = _did_of(register_signature.bind(*args, **kwargs).arguments)
        result = original_register(*args, **kwargs)
        details = must_stop(did)
        # Whoever registers anew after a kill that failed is about to kill again, and wants to see it succeed.
        if details is not None and not stops.has_failed(did):
            stops.stop(did, details, lambda: None)
        return result

    wrapped: dict[str, object] = {'kill': kill, 'register_agent': register_agent, _MARK: stops}
    for name, ours in wrapped.items():
        setattr(switch, name, ours)

    def unwrap() -> None:
        for name, ours in wrapped.items():
            # What the host put over it since is the host's to take away.
            if vars(switch).get(name) is ours:
                delattr(switch, name)

    return unwrap


def _did_of(arguments: Mapping[str, Any]) -> str:
    # Whatever it is called: the first parameter of both methods.
    return str(next(iter(arguments.values())))


def _record(record: Callable[[str, Mapping[str, Any]], None], did: str, arguments: Mapping[str, Any]) -> None:
    try:
        record(did, arguments)
    except Exception:
        # A kill is carried out, whatever becomes of its record.
        log.exception('the kill of %s could not be recorded', did)
