"""The seven steps of AGT's tutorial 31, run on AGT's own registry and on the bridge: only the import differs."""

from __future__ import annotations

import importlib
import json
import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from agentmesh import AgentIdentity, PolicyEngine
from agentmesh.identity import entra_agent_id as agt_agent_id
from agentmesh.identity import entra_graph
from agentmesh.identity.entra_graph import EntraGraphClient, build_group_scope_map
from world import World, until

SCOPE = 'https://graph.microsoft.com/Files.Read'
MANUAL = ['manual:cap', 'write:notes']
GRANTED = ['read:customer-data', 'read:reports']


@dataclass
class Cloud:
    """What the tutorial has in Azure: a tenant, an account in a group, a machine with a managed identity."""

    world: World
    account: str
    graph_client_id: str

    @property
    def tenant_id(self) -> str:
        return str(self.world.facts['tenant']['id'])

    @property
    def group(self) -> str:
        return str(self.world.facts['group'])

    def token(self) -> str:
        request = {'kind': 'agent', 'version': 'v2', 'id': self.account, 'audience': self.world.facts['applicationId']}
        return str(self.world.tenant('tokens', request)['token'])


@pytest.fixture
def cloud(world: World, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    account = world.account()
    world.tenant(f'groups/{world.facts["group"]}/members', {'memberId': account})
    app = {
        'name': 'a virtual machine',
        'roles': ['GroupMember.Read.All', 'Application.Read.All'],
        'managedIdentity': True,
    }
    client_id = world.tenant('apps', app)['appId']
    world.tenant('settle')
    tenant = world.facts['tenant']['origin']
    # AGT's modules have their addresses built in.
    monkeypatch.setattr(entra_graph, 'GRAPH_BASE', f'{tenant}/v1.0')
    monkeypatch.setattr(agt_agent_id.EntraAgentID, 'IMDS_URL', f'{tenant}/metadata')
    monkeypatch.setenv('AZURE_POD_IDENTITY_AUTHORITY_HOST', tenant)
    monkeypatch.setenv('AZURE_TENANT_ID', world.facts['tenant']['id'])
    monkeypatch.setenv('AZURE_CLIENT_ID', world.facts['applicationId'])
    monkeypatch.setenv('IDP_BRIDGE_URL', world.origin)
    monkeypatch.setenv('IDP_BRIDGE_TOKEN', world.token('registry'))
    return Cloud(world, account, client_id)


class Graph(EntraGraphClient):
    """AGT's client casts memberOf to groups without ``$count=true``, which Graph's documentation demands."""

    def _get(self, url: str) -> dict[str, Any]:
        return super()._get(f'{url}&$count=true')


def seven_steps(package: str, cloud: Cloud) -> dict[str, Any]:
    """What the tutorial does, and what its reader would see. ``package`` is all that differs."""
    entra = importlib.import_module(f'{package}.entra')
    entra_agent_id = importlib.import_module(f'{package}.entra_agent_id')
    seen: dict[str, Any] = {}

    # 1: a blueprint, an identity of AGT, its registration.
    registry = entra.EntraAgentRegistry(tenant_id=cloud.tenant_id)
    blueprint = entra.EntraAgentBlueprint(
        display_name='Data Analyst Agent',
        description='Reads customer data',
        default_capabilities=['never:used'],
        require_sponsor=True,
        max_delegation_depth=2,
        conditional_access_policy='ca-policy',
    )
    registry.register_blueprint(blueprint)
    identity = AgentIdentity.create(name='data-analyst', sponsor='alice@contoso.com', capabilities=MANUAL)
    did = str(identity.did)
    mapped = registry.register(
        agent_did=did,
        agent_name='data-analyst',
        entra_object_id=cloud.account,
        sponsor_email='alice@contoso.com',
        capabilities=list(MANUAL),
        scopes=[SCOPE],
        blueprint_name='Data Analyst Agent',
    )
    seen['registered'] = (
        mapped.agent_did == did,
        mapped.entra_object_id == cloud.account,
        mapped.tenant_id,
        mapped.sponsor_email,
        mapped.status.value,
        mapped.conditional_access_policy,
        mapped.blueprint_name,
        mapped.scopes,
    )

    # 2: who this process is.
    agent = entra_agent_id.EntraAgentID.from_environment(agent_did=did)
    seen['mapping'] = {**agent.to_did_mapping(), 'agent_did': None}

    # 3: a token that came in, and the agent behind it.
    claims = agent.validate_token(cloud.token())
    behind = registry.get_by_entra_id(claims['oid'])
    seen['behind the token'] = behind is mapped and behind.is_active()
    behind.record_activity()
    seen['activity'] = behind.last_activity is not None

    # 4: suspended, and let go on.
    seen['suspended'] = registry.suspend_agent(agent_did=did, reason='Conditional Access violation')
    if package != 'agentmesh.identity':
        # What AGT's registry leaves to its reader.
        until('the account is off', lambda: not cloud.world.tenant_state(cloud.account)['enabled'])
    seen['while suspended'] = (mapped.status.value, mapped.is_active(), registry.verify_access(did, SCOPE))
    seen['reactivated'] = registry.reactivate_agent(agent_did=did)
    record = mapped.to_audit_record()
    seen['record'] = (sorted(record), record['status'], record['entra_object_id'] == cloud.account)

    # 5: the directory's scope and AGT's own policy.
    policy = PolicyEngine()
    seen['access'] = registry.verify_access(agent_did=did, required_scope=SCOPE)
    seen['other scope'] = registry.verify_access(did, 'https://graph.microsoft.com/Mail.Read')
    seen['policy'] = policy.evaluate(did, {'action': 'read'}).allowed

    # 6: capabilities of the groups it is in.
    machine = entra_agent_id.EntraAgentID(did, cloud.tenant_id, cloud.graph_client_id)
    graph = Graph(access_token=machine.get_agent_token(scope='https://graph.microsoft.com/.default'))
    groups = build_group_scope_map({cloud.group: GRANTED, str(uuid.uuid4()): ['export:csv']})
    wanted = sorted([*MANUAL, *GRANTED])
    # The bridge reads the groups every second; AGT's registry does when it is called.
    seen['capabilities'] = until(
        'the groups were read',
        lambda: (now := registry.sync_group_memberships(did, graph, groups)) == wanted and now,
    )
    seen['scopes stay'] = registry.get_by_did(did).scopes

    # 7: ready for production? The bridge switches the account on once the directory's log proves who switched it off.
    until('the account is on', lambda: cloud.world.tenant_state(cloud.account)['enabled'], 180)
    seen['configuration'] = registry.validate_bridge_configuration(agent_did=did)

    events = [entry['event_type'] for entry in registry.get_audit_log() if entry['agent_did'] == did]
    # The bridge reads groups whenever it likes.
    seen['log'] = [*(event for event in events if not event.startswith('sync')), 'sync' in ' '.join(events)]
    return seen


@pytest.mark.filterwarnings('ignore:validate_token')
def test_the_seven_steps_give_the_same_on_the_bridge_as_on_agts_own_registry(cloud: Cloud) -> None:
    theirs = seven_steps('agentmesh.identity', cloud)
    ours = seven_steps('agentmesh_idp_bridge', cloud)
    assert ours == theirs
    assert ours['while suspended'] == ('suspended', False, (False, 'Agent status: suspended'))
    assert ours['access'] == (True, 'Access granted')
    assert ours['other scope'] == (False, 'Agent lacks scope: https://graph.microsoft.com/Mail.Read')
    assert ours['configuration'] == (False, ['Missing entra_app_id — Agent365 may not resolve the agent'])
    assert ours['log'] == ['register', 'suspend', 'reactivate', True]


def forged(token: str) -> str:
    """The same claims under a signature of nobody's."""
    header, payload, signature = token.split('.')
    return f'{header}.{payload}.{"B" if signature[0] == "A" else "A"}{signature[1:]}'


@pytest.mark.filterwarnings('ignore:validate_token')
def test_a_forged_token_passes_agts_check_and_not_the_bridges(cloud: Cloud) -> None:
    from agentmesh_idp_bridge.entra import EntraAgentRegistry
    from agentmesh_idp_bridge.entra_agent_id import EntraAgentID

    did = f'did:mesh:{uuid.uuid4().hex}'
    EntraAgentRegistry(cloud.tenant_id).register(did, 'an agent', cloud.account, 'alice@contoso.com')
    token = cloud.token()
    assert agt_agent_id.EntraAgentID.from_environment(did).validate_token(forged(token))['oid'] == cloud.account
    agent = EntraAgentID.from_environment(did)
    assert agent.validate_token(token)['oid'] == cloud.account
    with pytest.raises(ValueError, match='R_SIGNATURE'):
        agent.validate_token(forged(token))
    with pytest.raises(ValueError, match='Invalid JWT'):
        agent.validate_token('not-a-token')
    with pytest.raises(ValueError, match='audience'):
        EntraAgentID(did, cloud.tenant_id, 'another-client').validate_token(token)
    with pytest.raises(ValueError, match='tenant'):
        EntraAgentID(did, 'another-tenant', cloud.world.facts['applicationId']).validate_token(token)
    expired = cloud.world.tenant(
        'tokens',
        {
            'kind': 'agent',
            'id': cloud.account,
            'audience': cloud.world.facts['applicationId'],
            'lifetimeMs': -3_600_000,
        },
    )['token']
    with pytest.raises(ValueError, match='expired'):
        agent.validate_token(expired)


def test_who_a_process_is(monkeypatch: pytest.MonkeyPatch, cloud: Cloud) -> None:
    from agentmesh_idp_bridge.entra_agent_id import EntraAgentID

    assert json.dumps(EntraAgentID('did:mesh:1', 't', 'c').to_did_mapping()) == json.dumps(
        agt_agent_id.EntraAgentID('did:mesh:1', 't', 'c').to_did_mapping()
    )
    for empty in (('', 't', 'c'), ('d', '', 'c'), ('d', 't', '')):
        with pytest.raises(ValueError, match='must not be empty'):
            EntraAgentID(*empty)
    with pytest.raises(RuntimeError, match='Failed to acquire token'):
        EntraAgentID('did:mesh:1', 't', str(uuid.uuid4())).get_agent_token()
    monkeypatch.delenv('AZURE_CLIENT_ID')
    with pytest.raises(OSError, match='AZURE_CLIENT_ID'):
        EntraAgentID.from_environment('did:mesh:1')
    # The tenant's metadata service has no document about the machine.
    with pytest.raises(RuntimeError, match='IMDS'):
        EntraAgentID.from_managed_identity('did:mesh:1')
