"""AGT's ``agentmesh.identity.entra``, answered by the bridge: change the import, keep the code.

The bridge and the client are named by ``url`` and ``token``, or by ``IDP_BRIDGE_URL`` and ``IDP_BRIDGE_TOKEN``.
"""

from __future__ import annotations

import logging
import ssl
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from . import fields
from .asking import Asking, last_activity_of, open_bridge, status_of, values_of
from .entra_audit import Seen, entry_of
from .errors import BridgeError
from .models import EntraAgentBlueprint, EntraAgentIdentity, EntraAgentStatus
from .transport import Token, did_path

__all__ = ['EntraAgentBlueprint', 'EntraAgentIdentity', 'EntraAgentRegistry', 'EntraAgentStatus']

log = logging.getLogger('agentmesh_idp_bridge')

#: Issues of the bridge that AGT has words for.
_ISSUES = {
    'V_NO_APP_ID': 'Missing entra_app_id — Agent365 may not resolve the agent',
    'V_NO_SPONSOR': 'Missing sponsor_email (required for Agent365)',
    'V_NO_PRINCIPAL': 'Missing entra_object_id',
}


class EntraAgentRegistry:
    """Agents and their accounts in one tenant, as the bridge has them.

    ``adapter``
        The bridge's name of the tenant; needed (or ``IDP_BRIDGE_ADAPTER``) when it serves several of kind ``entra``.
    ``kind``
        What the accounts are in the directory; ``register`` takes another one for one agent.

    The client needs the roles ``registrar``, ``responder`` and ``gateway``; ``disable_agent`` needs ``operator``.
    Methods raise BridgeError when the bridge refuses or cannot be asked, except ``verify_access``, which then denies.
    """

    def __init__(
        self,
        tenant_id: str,
        *,
        url: str | None = None,
        token: Token | None = None,
        adapter: str | None = None,
        kind: str = 'agentIdentity',
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.tenant_id = tenant_id
        self._bridge = open_bridge(url, token, context)
        self._asking = Asking(self._bridge, adapter)
        self._kind = kind
        self._blueprints: dict[str, EntraAgentBlueprint] = {}
        # One object for each agent, so that whoever holds one sees it change, as in AGT.
        self._identities: weakref.WeakValueDictionary[tuple[str, str], EntraAgentIdentity] = (
            weakref.WeakValueDictionary()
        )

    @property
    def adapter(self) -> str:
        """The bridge's name of the tenant. Raises BridgeError ``E_CONFIGURATION`` when there is not exactly one."""
        return self._asking.adapter

    def register_blueprint(self, blueprint: EntraAgentBlueprint) -> None:
        """Defines it at the bridge, unless one of the name is there already: that one stays as it is, and counts.

        ``default_capabilities`` stay in this registry, for agents registered without any, as in AGT; those of a
        definition at the bridge are added to whatever an agent has. An access policy that does not exist is refused
        (``E_ACCESS_POLICY``); a ``conditional_access_policy`` that is no object id cannot be checked and is left away.
        """
        self._asking.define_blueprint(blueprint)
        self._blueprints[blueprint.display_name] = blueprint

    def register(
        self,
        agent_did: str,
        agent_name: str,
        entra_object_id: str,
        sponsor_email: str,
        capabilities: list[str] | None = None,
        scopes: list[str] | None = None,
        blueprint_name: str | None = None,
        *,
        entra_app_id: str | None = None,
        kind: str | None = None,
    ) -> EntraAgentIdentity:
        """Registers the agent, whose account the bridge then reads: one that does not exist is refused.

        Repeating it changes nothing, so a suspended agent stays suspended. Other details under the same DID
        (``E_EXISTS``), and an account that another DID has (``E_PRINCIPAL_TAKEN``), are refused.
        """
        blueprint = self._blueprints.get(blueprint_name) if blueprint_name else None
        if blueprint is not None and blueprint.require_sponsor and not sponsor_email:
            raise ValueError(f"Blueprint '{blueprint_name}' requires a sponsor email")
        default = blueprint.default_capabilities if blueprint is not None else []
        principal: dict[str, object] = {
            'adapter': self.adapter,
            'id': entra_object_id,
            'kind': kind or self._kind,
            'scopes': list(scopes or []),
            **({'appId': entra_app_id} if entra_app_id else {}),
        }
        body: dict[str, object] = {
            'did': str(agent_did),
            'name': agent_name,
            'capabilities': list(capabilities or default),
            'principals': [principal],
            **({'sponsor': {'email': sponsor_email}} if sponsor_email else {}),
            **({'blueprint': blueprint_name} if blueprint_name else {}),
        }
        try:
            answer = self._bridge.post('/v1/agents', body)
        except BridgeError as error:
            if error.code != 'E_BLUEPRINT_UNKNOWN':
                raise
            raise ValueError(f'Blueprint {blueprint_name!r} is not registered') from error
        return self._known(answer.body, entra_object_id)

    def get_by_did(self, agent_did: str) -> EntraAgentIdentity | None:
        """None when the bridge does not know the DID, or no account of it in this tenant."""
        body = self._asking.agent(agent_did)
        return None if body is None else self._identity(body)

    def get_by_entra_id(self, entra_object_id: str) -> EntraAgentIdentity | None:
        """None for an unknown account, and for a shared one: it is not one agent's."""
        try:
            body = self._bridge.get('/v1/principals', {'adapter': self.adapter, 'id': entra_object_id}).body
        except BridgeError as error:
            if error.code == 'E_NOT_FOUND':
                return None
            raise
        if fields.as_members(body).get('shared') is True:
            log.warning('%s is shared by several agents; it stands for none of them', entra_object_id)
            return None
        return self._identity(fields.as_members(body), entra_object_id)

    def suspend_agent(self, agent_did: str, reason: str = '') -> bool:
        """Places a hold, which denies at once and everywhere, and disables the account.

        True when this call placed it: also beside a directory's hold, so that the agent stays suspended when the
        directory lets go. False for an unknown agent, and when a hold of this client is open already.
        """
        body = self._asking.agent(agent_did)
        if body is None or body.get('status') == 'decommissioned' or self._asking.own(agent_did, 'suspend'):
            return False
        self._asking.place(agent_did, 'suspend', reason)
        self.get_by_did(agent_did)
        return True

    def reactivate_agent(self, agent_did: str) -> bool:
        """Releases the suspensions of this client, those of an earlier process too; nobody else's.

        True when the agent is active then.
        """
        released = False
        for hold in self._asking.own(agent_did, 'suspend'):
            path = did_path(str(agent_did), f'/holds/{quote(fields.text(hold, "id"), safe="")}/release')
            try:
                self._bridge.post(path, {'reason': 'reactivated in the registry'})
            except BridgeError as error:
                if error.code != 'E_ALREADY_RELEASED':
                    raise
            released = True
        identity = self.get_by_did(agent_did)
        return released and identity is not None and identity.status is EntraAgentStatus.ACTIVE

    def disable_agent(self, agent_did: str) -> bool:
        """Places a hold that only two operators lift. False for an unknown agent."""
        body = self._asking.agent(agent_did)
        if body is None:
            return False
        if body.get('status') != 'decommissioned' and not self._asking.own(agent_did, 'disable'):
            self._asking.place(agent_did, 'disable', '')
            self.get_by_did(agent_did)
        return True

    def verify_access(self, agent_did: str, required_scope: str) -> tuple[bool, str]:
        """Whether the agent may act with this scope, and why not. Denies without a scope, and when in doubt."""
        if not required_scope:
            return False, 'No scope was asked for'
        try:
            codes = self._asking.codes(agent_did, required_scope)
        except BridgeError as error:
            return False, f'The bridge could not be asked: {error.code}'
        if not codes:
            return True, 'Access granted'
        if 'R_UNKNOWN_DID' in codes:
            return False, 'Agent not registered in Entra registry'
        if 'R_DECOMMISSIONED' in codes:
            return False, f'Agent status: {EntraAgentStatus.DELETED.value}'
        if 'R_SUSPENDED' in codes:
            return False, f'Agent status: {self._asking.held_status(agent_did).value}'
        if 'R_SCOPE' in codes:
            return False, f'Agent lacks scope: {required_scope}'
        return False, f'Agent refused: {", ".join(codes)}'

    def list_agents(self, status: EntraAgentStatus | None = None) -> list[EntraAgentIdentity]:
        """All agents with an account in this tenant."""
        coarse = {
            None: None,
            EntraAgentStatus.ACTIVE: 'active',
            EntraAgentStatus.SUSPENDED: 'suspended',
            EntraAgentStatus.DISABLED: 'suspended',
            EntraAgentStatus.DELETED: 'decommissioned',
        }[status]
        query = {} if coarse is None else {'status': coarse}
        return [agent for agent in self._listed(query) if status is None or agent.status is status]

    def get_sponsor_agents(self, sponsor_email: str) -> list[EntraAgentIdentity]:
        """Whatever the case of the address."""
        return self._listed({'sponsor': sponsor_email}) if sponsor_email else []

    def get_audit_log(self) -> list[dict[str, Any]]:
        """What the bridge's audit chain has of these agents, in AGT's shape, oldest first."""
        return list(self.iter_audit_log())

    def iter_audit_log(self, agent_did: str | None = None) -> Iterator[dict[str, Any]]:
        """The same page by page, of one agent if it is named. The whole chain: ``GET /v1/audit``."""
        seen: Seen = {}
        query = {} if agent_did is None else {'did': str(agent_did)}
        for item in self._asking.pages('/v1/audit', query, 'after'):
            entry = entry_of(item, self.adapter, seen)
            if entry is not None:
                yield entry

    def sync_group_memberships(
        self, agent_did: str, graph_client: object, group_scope_map: Mapping[str, Sequence[str]]
    ) -> list[str]:
        """The agent's capabilities as of the bridge's last complete reading of the groups, sorted.

        The bridge reads the groups itself, all the time, and takes away what a group gave when the agent leaves it; so
        ``graph_client`` is not used. ``group_scope_map`` grants nothing either: the bridge's own configuration
        (``adapters.<name>.groups``) does, and a difference that shows is logged. Raises KeyError for an unknown agent.
        """
        if not group_scope_map:
            raise ValueError('group_scope_map must not be empty')
        body = self._asking.agent(agent_did)
        if body is None:
            raise KeyError(f'Agent {str(agent_did)!r} not found in registry')
        granted: dict[str, set[str]] = {}
        for capability in fields.items(body, 'capabilities'):
            for source in fields.items(capability, 'sources'):
                prefix, _, group = fields.text(source, 'source').partition(f'group:{self.adapter}/')
                if prefix == '' and group:
                    granted.setdefault(group, set()).add(fields.text(capability, 'name'))
        for group, names in granted.items():
            if group not in group_scope_map or set(group_scope_map[group]) != names:
                log.warning('the bridge maps the group %s to %s, whatever group_scope_map says', group, sorted(names))
        self._identity(body)
        return sorted(fields.texts(body, 'effective'))

    def validate_bridge_configuration(self, agent_did: str) -> tuple[bool, list[str]]:
        """Whether the registration is complete, and the directory, read now, agrees with it."""
        body = self._asking.agent(agent_did)
        if body is None:
            return False, [f'Agent {str(agent_did)!r} not found in registry']
        answer = fields.as_members(self._bridge.get(did_path(str(agent_did), '/validate')).body)
        issues = [
            _ISSUES.get(fields.text(issue, 'code'), fields.text(issue, 'text'))
            for issue in fields.items(answer, 'issues')
            if fields.text(issue, 'code') not in ('V_SUSPENDED', 'V_DECOMMISSIONED')
        ]
        status = status_of(body)
        if status is not EntraAgentStatus.ACTIVE:
            issues.insert(0, f'Agent status is {status.value}, expected active')
        realm = self._asking.realm(agent_did)
        if realm is not None and realm != self.tenant_id:
            issues.append(f'The bridge has the agent in the tenant {realm}, not in {self.tenant_id}')
        return fields.flag(answer, 'ok') and not issues, issues

    # For identities.

    def refresh(self, identity: EntraAgentIdentity) -> None:
        """Brings an identity of this registry up to date; one that is gone counts as deleted."""
        body = self._asking.agent(identity.agent_did)
        if body is None or self._identity(body, identity.entra_object_id) is None:
            identity.status = EntraAgentStatus.DELETED

    def may_act(self, agent_did: str) -> bool:
        """The bridge's decision for the agent, without a scope."""
        return not self._asking.codes(agent_did, None)

    # From the bridge's shapes to AGT's.

    def _listed(self, query: Mapping[str, str]) -> list[EntraAgentIdentity]:
        return [agent for body in self._asking.agents(query) if (agent := self._identity(body)) is not None]

    def _known(self, body: object, object_id: str) -> EntraAgentIdentity:
        identity = self._identity(fields.as_members(body), object_id)
        if identity is None:
            raise BridgeError('E_ANSWER', f'The bridge registered an agent without {object_id}.')
        return identity

    def _identity(self, body: Mapping[str, object], object_id: str | None = None) -> EntraAgentIdentity | None:
        accounts = [item for item in fields.items(body, 'principals') if item.get('adapter') == self.adapter]
        account = next((item for item in accounts if object_id in (None, item.get('id'))), None)
        if account is None:
            return None
        blueprint = self._blueprints.get(fields.optional_text(body, 'blueprint') or '')
        policy = blueprint.conditional_access_policy if blueprint else None
        values = {**values_of(body, account), 'tenant_id': self.tenant_id, 'conditional_access_policy': policy}
        key = (values['agent_did'], values['entra_object_id'])
        identity = self._identities.get(key)
        if identity is None:
            identity = EntraAgentIdentity(source=self, **values)
            self._identities[key] = identity
        else:
            for name, value in values.items():
                setattr(identity, name, value)
        seen = last_activity_of(body)
        if seen is not None:
            identity.last_activity = max(seen, identity.last_activity or seen)
        return identity
