"""What the registry asks the bridge, and the bridge's shapes in AGT's words."""

from __future__ import annotations

import logging
import os
import re
import ssl
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from . import fields
from .errors import BridgeError
from .models import EntraAgentBlueprint, EntraAgentStatus
from .transport import Bridge, Token, did_path

_PAGE = '1000'
_OBJECT_ID = re.compile(r'[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}')
_MAX_DEPTH = 10

log = logging.getLogger('agentmesh_idp_bridge')


def open_bridge(url: str | None, token: Token | None, context: ssl.SSLContext | None) -> Bridge:
    """The bridge that the arguments or the environment name. Raises BridgeError ``E_CONFIGURATION``."""
    where, who = url or os.environ.get('IDP_BRIDGE_URL'), token or os.environ.get('IDP_BRIDGE_TOKEN')
    if not where or not who:
        raise BridgeError('E_CONFIGURATION', 'No bridge is named: set IDP_BRIDGE_URL and IDP_BRIDGE_TOKEN.')
    return Bridge(where, who, context=context)


def whoami(bridge: Bridge) -> str:
    """The name of the client whose token is used; asked each time, for a rotated token may be another client's."""
    return fields.text(fields.as_members(bridge.get('/v1/whoami').body), 'name')


class Asking:
    """Questions of one registry; the name of the tenant is found out when it is needed."""

    def __init__(self, bridge: Bridge, adapter: str | None) -> None:
        self._bridge = bridge
        self._adapter = adapter or os.environ.get('IDP_BRIDGE_ADAPTER')

    @property
    def adapter(self) -> str:
        if self._adapter is None:
            status = fields.as_members(self._bridge.get('/v1/status').body)
            names = [
                fields.text(item, 'adapter')
                for item in fields.items(status, 'adapters')
                if fields.text(item, 'kind') == 'entra'
            ]
            if len(names) != 1:
                found = ', '.join(names) or 'none'
                detail = f'The bridge serves these tenants: {found}. Name one as adapter.'
                raise BridgeError('E_CONFIGURATION', detail)
            self._adapter = names[0]
        return self._adapter

    def agent(self, did: str) -> Mapping[str, object] | None:
        try:
            return fields.as_members(self._bridge.get(did_path(str(did))).body)
        except BridgeError as error:
            if error.code in ('E_AGENT_UNKNOWN', 'E_DID'):
                return None
            raise

    def agents(self, query: Mapping[str, str]) -> Iterator[Mapping[str, object]]:
        return self.pages('/v1/agents', {**query, 'adapter': self.adapter}, 'cursor')

    def pages(self, path: str, query: Mapping[str, str], cursor: str) -> Iterator[Mapping[str, object]]:
        """The items of all pages; ``cursor`` is the parameter that takes the ``nextCursor`` of the page before."""
        place: str | None = None
        while True:
            page = {**query, 'limit': _PAGE, **({} if place is None else {cursor: place})}
            body = fields.as_members(self._bridge.get(path, page).body)
            yield from fields.items(body, 'items')
            place = fields.optional_text(body, 'nextCursor')
            if place is None:
                return

    def codes(self, did: str, scope: str | None) -> list[str]:
        """Why the agent may not act; empty only when the bridge said that it may."""
        question = {'did': str(did), **({} if scope is None else {'scope': scope})}
        answer = fields.as_members(self._bridge.post('/v1/decisions', question).body)
        codes = fields.texts(answer, 'codes')
        return [] if fields.flag(answer, 'allow') else codes or ['R_REFUSED']

    def define_blueprint(self, blueprint: EntraAgentBlueprint) -> None:
        """Puts it where there is none of its name; what is there may be an operator's, and others rely on it."""
        path = f'/v1/blueprints/{quote(blueprint.display_name, safe="")}'
        policy = blueprint.conditional_access_policy
        checked = policy is not None and _OBJECT_ID.fullmatch(policy) is not None
        if policy is not None and not checked:
            log.warning('%r is no object id: whether that access policy exists is not checked', policy)
        try:
            self._bridge.get(path)
        except BridgeError as error:
            if error.code != 'E_NOT_FOUND':
                raise
        else:
            log.info('the bridge has the blueprint %r already, and goes by that one', blueprint.display_name)
            return
        body: dict[str, object] = {
            'requireSponsor': blueprint.require_sponsor,
            'maxDelegationDepth': min(blueprint.max_delegation_depth, _MAX_DEPTH),
            **({'description': blueprint.description} if blueprint.description else {}),
            **({'accessPolicy': {'adapter': self.adapter, 'id': policy}} if checked else {}),
        }
        self._bridge.ask('PUT', path, body)

    def held_status(self, did: str) -> EntraAgentStatus:
        try:
            body = self.agent(did)
        except BridgeError:
            body = None
        status = EntraAgentStatus.SUSPENDED if body is None else status_of(body)
        # It was released since the decision; the decision stands.
        return EntraAgentStatus.SUSPENDED if status is EntraAgentStatus.ACTIVE else status

    def own(self, did: str, severity: str) -> list[Mapping[str, object]]:
        """Open holds of this client: asking to release somebody else's would have effects."""
        client = whoami(self._bridge)
        origins = {f'operator:{client}', f'runtime:{client}'}
        body = fields.as_members(self._bridge.get(did_path(str(did), '/holds'), {'limit': _PAGE}).body)
        return [
            hold
            for hold in fields.items(body, 'items')
            if hold.get('releasedAt') is None
            and fields.text(hold, 'severity') == severity
            and fields.text(hold, 'origin') in origins
        ]

    def place(self, did: str, severity: str, reason: str) -> None:
        body = {'severity': severity, 'reason': reason or f'{severity} in the registry'}
        self._bridge.post(did_path(str(did), '/holds'), body, key=str(uuid.uuid4()))

    def realm(self, did: str) -> str | None:
        """The tenant that the bridge's adapter stands for, as its audit chain has it."""
        body = fields.as_members(self._bridge.get('/v1/audit', {'did': str(did), 'limit': '1'}).body)
        for entry in fields.items(body, 'items'):
            for principal in fields.items(entry, 'principals') if 'principals' in entry else ():
                if principal.get('adapter') == self.adapter:
                    return fields.text(principal, 'realm')
        return None


def status_of(body: Mapping[str, object]) -> EntraAgentStatus:
    status, severity = fields.text(body, 'status'), fields.optional_text(body, 'severity')
    if status == 'active':
        return EntraAgentStatus.ACTIVE
    if status == 'decommissioned' or severity == 'decommission':
        return EntraAgentStatus.DELETED
    return EntraAgentStatus.DISABLED if severity == 'disable' else EntraAgentStatus.SUSPENDED


def values_of(body: Mapping[str, object], account: Mapping[str, object]) -> dict[str, Any]:
    """The fields of an identity that an agent of the bridge and one of its accounts tell."""
    sponsor = fields.maybe_members(body, 'sponsor')
    return {
        'agent_did': fields.text(body, 'did'),
        'agent_name': fields.text(body, 'name'),
        'entra_object_id': fields.text(account, 'id'),
        'entra_app_id': fields.optional_text(account, 'appId') or '',
        'sponsor_email': fields.optional_text(sponsor, 'email') or '',
        'sponsor_object_id': fields.optional_text(sponsor, 'objectId') or '',
        'status': status_of(body),
        'created_at': _time(fields.text(body, 'createdAt')),
        'capabilities': fields.texts(body, 'effective'),
        'scopes': fields.texts(account, 'scopes'),
        'blueprint_name': fields.optional_text(body, 'blueprint'),
    }


def last_activity_of(body: Mapping[str, object]) -> datetime | None:
    at = fields.optional_text(body, 'lastActivity')
    return None if at is None else _time(at)


def _time(text: str) -> datetime:
    # Python 3.10 does not read the Z.
    return datetime.fromisoformat(text.replace('Z', '+00:00'))
