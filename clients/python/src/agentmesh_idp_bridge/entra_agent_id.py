"""AGT's ``agentmesh.identity.entra_agent_id``, with tokens that are really verified: by the bridge."""

from __future__ import annotations

import base64
import json
import os
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

from . import fields
from .asking import open_bridge
from .errors import BridgeError
from .transport import Token

__all__ = ['EntraAgentID']

_WORDS = {
    'R_EXPIRED': 'Token has expired',
    'R_NOT_YET_VALID': 'Token is not yet valid',
    'R_ISSUER': 'Token issuer mismatch',
    'R_TENANT': 'Token issuer mismatch',
    'R_AUDIENCE': 'Token audience does not match',
    'R_TOKEN': 'Invalid JWT',
    'R_UNMAPPED': 'Token names no agent that is registered',
}
# The metadata service answers on the machine itself, never through a proxy.
_metadata = build_opener(ProxyHandler({}))


class EntraAgentID:
    """An agent and the application or managed identity it runs as."""

    #: ``AZURE_POD_IDENTITY_AUTHORITY_HOST`` names another, as for Microsoft's own libraries.
    IMDS_URL = 'http://169.254.169.254/metadata'

    def __init__(
        self,
        agent_did: str,
        tenant_id: str,
        client_id: str,
        *,
        url: str | None = None,
        token: Token | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        for name, value in (('agent_did', agent_did), ('tenant_id', tenant_id), ('client_id', client_id)):
            if not value:
                raise ValueError(f'{name} must not be empty')
        self.agent_did = str(agent_did)
        self.tenant_id = tenant_id
        self.client_id = client_id
        self._where = (url, token, context)

    @classmethod
    def from_managed_identity(cls, agent_did: str) -> EntraAgentID:
        """Tenant and client of the machine's managed identity. Raises RuntimeError without one."""
        machine = cls._imds('instance/compute', {'api-version': '2021-02-01'}, 'Failed to contact Azure IMDS')
        tenant_id = fields.optional_text(machine, 'tenantId')
        if not tenant_id:
            raise RuntimeError('Could not determine tenant ID from IMDS')
        query = {'api-version': '2018-02-01', 'resource': 'https://management.azure.com/'}
        answer = cls._imds('identity/oauth2/token', query, 'Failed to acquire bootstrap token from IMDS')
        claims = _claims_of(fields.text(answer, 'access_token'))
        client_id = claims.get('appid') or claims.get('azp')
        if not isinstance(client_id, str):
            raise RuntimeError('Could not determine client_id from IMDS token')
        return cls(agent_did, tenant_id, client_id)

    @classmethod
    def from_environment(cls, agent_did: str) -> EntraAgentID:
        """From AZURE_TENANT_ID and AZURE_CLIENT_ID. Raises OSError when one is not set."""
        values = {name: os.environ.get(name, '') for name in ('AZURE_TENANT_ID', 'AZURE_CLIENT_ID')}
        for name, value in values.items():
            if not value:
                raise OSError(f'{name} environment variable is not set')
        return cls(agent_did, values['AZURE_TENANT_ID'], values['AZURE_CLIENT_ID'])

    def validate_token(self, token: str) -> dict[str, Any]:
        """The claims of a token of this tenant, for this client, that names a registered agent.

        The bridge checks signature, issuer, audience, times and mapping. Raises ValueError for a token that does not
        hold, BridgeError when the bridge cannot be asked: the token is then neither good nor bad. A valid token does
        not say that its agent may act: ask ``verify_access``.
        """
        claims = _claims_of(token)
        bridge = open_bridge(*self._where)
        answer = fields.as_members(bridge.post('/v1/tokens/verify', {'token': token}).body)
        if not fields.flag(answer, 'valid'):
            codes = fields.texts(answer, 'codes')
            words = next((_WORDS[code] for code in codes if code in _WORDS), 'Token refused')
            raise ValueError(f'{words} ({", ".join(codes)})')
        # The bridge serves other tenants and audiences too.
        if claims.get('tid') != self.tenant_id:
            raise ValueError(f'Token issuer mismatch: expected tenant {self.tenant_id}')
        audience = claims.get('aud')
        if not {self.client_id, f'api://{self.client_id}'} & set(
            audience if isinstance(audience, list) else [audience]
        ):
            raise ValueError("Token audience does not match this agent's client_id")
        return dict(claims)

    def get_agent_token(self, scope: str = 'https://governance.azure.com/.default') -> str:
        """A token of the machine's managed identity. Raises RuntimeError when there is none."""
        query = {
            'api-version': '2018-02-01',
            'resource': scope.removesuffix('/.default'),
            'client_id': self.client_id,
        }
        failure = f"Failed to acquire token for scope '{scope}'"
        answer = self._imds('identity/oauth2/token', query, failure)
        token = answer.get('access_token')
        if not isinstance(token, str):
            raise RuntimeError(failure)
        return token

    def to_did_mapping(self) -> dict[str, Any]:
        return {
            'agent_did': self.agent_did,
            'entra': {'tenant_id': self.tenant_id, 'client_id': self.client_id},
            'mapping_version': '1.0',
        }

    def __repr__(self) -> str:
        return f'EntraAgentID(agent_did={self.agent_did!r}, tenant_id={self.tenant_id!r}, client_id={self.client_id!r})'

    @classmethod
    def _imds(cls, path: str, query: Mapping[str, str], failure: str) -> Mapping[str, object]:
        host = os.environ.get('AZURE_POD_IDENTITY_AUTHORITY_HOST')
        base = cls.IMDS_URL if not host else f'{host.rstrip("/")}/metadata'
        request = Request(f'{base}/{path}?{urlencode(query)}', headers={'Metadata': 'true'})  # noqa: S310
        try:
            with _metadata.open(request, timeout=5) as response:
                return fields.as_members(json.loads(response.read(1024 * 1024)))
        except (URLError, TimeoutError, ValueError, BridgeError) as error:
            raise RuntimeError(f'{failure}. Is a managed identity assigned to this machine?') from error


def _claims_of(token: str) -> Mapping[str, object]:
    """What a token says; to be believed only after the bridge verified it."""
    parts = token.split('.')
    if len(parts) != 3:
        raise ValueError('Invalid JWT: expected 3 dot-separated parts')
    try:
        payload = json.loads(base64.urlsafe_b64decode(parts[1] + '=' * (-len(parts[1]) % 4)))
    except ValueError as error:
        raise ValueError('Invalid JWT: the payload is not JSON') from error
    if not isinstance(payload, dict):
        raise ValueError('Invalid JWT: the payload is no object')
    return payload
