"""The shapes of AGT's ``agentmesh.identity.entra``, as plain dataclasses."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum
from typing import Any, Protocol


class EntraAgentStatus(str, Enum):
    ACTIVE = 'active'
    SUSPENDED = 'suspended'
    #: An operator's hold: only two operators lift it.
    DISABLED = 'disabled'
    #: Decommissioned at the bridge, for ever.
    DELETED = 'deleted'


@dataclass(kw_only=True)
class EntraAgentBlueprint:
    display_name: str
    description: str = ''
    default_capabilities: list[str] = field(default_factory=list)
    require_sponsor: bool = True
    max_delegation_depth: int = 2
    conditional_access_policy: str | None = None


class Source(Protocol):
    """Where a registered identity asks; the registry."""

    def suspend_agent(self, agent_did: str, reason: str = '') -> bool: ...

    def reactivate_agent(self, agent_did: str) -> bool: ...

    def disable_agent(self, agent_did: str) -> bool: ...

    def refresh(self, identity: EntraAgentIdentity) -> None: ...

    def may_act(self, agent_did: str) -> bool: ...


@dataclass(kw_only=True)
class EntraAgentIdentity:
    """An agent and its account.

    One that came from a registry is tied to it: ``is_active`` and ``to_audit_record`` ask the bridge, and ``suspend``,
    ``reactivate`` and ``disable`` act there. One made with :meth:`create` is only data, and these refuse.
    """

    agent_did: str
    agent_name: str
    entra_object_id: str
    entra_app_id: str = ''
    tenant_id: str
    sponsor_email: str
    sponsor_object_id: str = ''
    status: EntraAgentStatus = EntraAgentStatus.ACTIVE
    created_at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    last_activity: datetime | None = None
    capabilities: list[str] = field(default_factory=list)
    conditional_access_policy: str | None = None
    scopes: list[str] = field(default_factory=list)
    blueprint_name: str | None = None
    source: Source | None = field(default=None, repr=False, compare=False)

    @classmethod
    def create(
        cls,
        agent_did: str,
        agent_name: str,
        entra_object_id: str,
        tenant_id: str,
        sponsor_email: str,
        capabilities: list[str] | None = None,
        scopes: list[str] | None = None,
        blueprint: EntraAgentBlueprint | None = None,
    ) -> EntraAgentIdentity:
        return cls(
            agent_did=str(agent_did),
            agent_name=agent_name,
            entra_object_id=entra_object_id,
            tenant_id=tenant_id,
            sponsor_email=sponsor_email,
            capabilities=list(capabilities or (blueprint.default_capabilities if blueprint else [])),
            scopes=list(scopes or []),
            conditional_access_policy=blueprint.conditional_access_policy if blueprint else None,
            blueprint_name=blueprint.display_name if blueprint else None,
        )

    def record_activity(self) -> None:
        """The bridge records activity when a decision lets the agent act, so it is asked for one; a denied agent has
        none."""
        if self.source is None or self.source.may_act(self.agent_did):
            self.last_activity = datetime.now(timezone.utc)

    def suspend(self, reason: str = '') -> None:
        self._registry().suspend_agent(self.agent_did, reason)

    def reactivate(self) -> None:
        self._registry().reactivate_agent(self.agent_did)

    def disable(self) -> None:
        self._registry().disable_agent(self.agent_did)

    def is_active(self) -> bool:
        """As the bridge says now. Raises BridgeError when it cannot be asked."""
        if self.source is not None:
            self.source.refresh(self)
        return self.status is EntraAgentStatus.ACTIVE

    def has_scope(self, scope: str) -> bool:
        """Exact, like the bridge's own decisions."""
        return scope in self.scopes

    def to_audit_record(self) -> dict[str, Any]:
        if self.source is not None:
            self.source.refresh(self)
        return {
            'agent_did': self.agent_did,
            'entra_object_id': self.entra_object_id,
            'tenant_id': self.tenant_id,
            'sponsor_email': self.sponsor_email,
            'status': self.status.value,
            'capabilities': list(self.capabilities),
            'scopes': list(self.scopes),
            'last_activity': self.last_activity.isoformat() if self.last_activity else None,
        }

    def _registry(self) -> Source:
        if self.source is None:
            raise RuntimeError(f'{self.agent_did} is not registered: nothing would be suspended anywhere.')
        return self.source
