"""What this package needs of AGT's classes, by shape: AGT itself is never required."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class KillSwitchLike(Protocol):
    """``hypervisor.KillSwitch``."""

    # Positional-only markers are left out: AGT's own callers name these parameters.
    def kill(self, agent_did: str, session_id: str, reason: Any) -> Any: ...

    def register_agent(self, agent_did: str, process_handle: Callable[[], None]) -> None: ...


class IdentityLike(Protocol):
    """``agentmesh.AgentIdentity``."""

    @property
    def status(self) -> Any: ...

    def suspend(self, reason: str) -> None: ...

    def reactivate(self, *, override_reason: bool = False) -> None: ...


class Identities(Protocol):
    """Finds an identity by DID: ``agentmesh.identity.agent_id.IdentityRegistry``, or a dictionary."""

    def get(self, did: str, /) -> Any: ...


def manual_reason() -> object:
    """AGT's word for a kill that was decided elsewhere; it has none for a directory's."""
    try:
        from hypervisor.security.kill_switch import KillReason
    except ImportError:
        return 'manual'
    reason: object = KillReason.MANUAL
    return reason


def handle_of(kill_switch: KillSwitchLike, did: str) -> object | None:
    """The key under which the agent runs here, None when it does not.

    The switch tells nobody whether an agent is registered, so its table is read. Should a later version keep it
    elsewhere, the DID is given back: to be tried, and believed stopped only when the switch says so.
    """
    table = getattr(kill_switch, '_agents', None)
    if not isinstance(table, dict):
        return did
    if did in table:
        return did
    # AGT's DID is an object, and some hosts register that.
    return next((key for key in list(table) if not isinstance(key, str) and str(key) == did), None)
