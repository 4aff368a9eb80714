"""The behaviours of AGT's registry that hold on the bridge, and those that must not."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from agentmesh import AgentIdentity
from world import Relay, World, until

from agentmesh_idp_bridge import BridgeError
from agentmesh_idp_bridge.entra import (
    EntraAgentBlueprint,
    EntraAgentIdentity,
    EntraAgentRegistry,
    EntraAgentStatus,
)

SCOPE = 'https://graph.microsoft.com/Files.Read'
Make = Callable[..., EntraAgentRegistry]


@pytest.fixture
def make(world: World) -> Make:
    def made(client: str = 'registry', **more: Any) -> EntraAgentRegistry:
        settings: dict[str, Any] = {
            'tenant_id': world.facts['tenant']['id'],
            'url': world.origin,
            'token': world.token(client),
            **more,
        }
        return EntraAgentRegistry(**settings)

    return made


def new_did() -> str:
    return f'did:mesh:{uuid.uuid4().hex}'


def registered(registry: EntraAgentRegistry, world: World, **more: Any) -> EntraAgentIdentity:
    values: dict[str, Any] = {
        'agent_did': new_did(),
        'agent_name': 'an agent',
        'entra_object_id': world.account(),
        'sponsor_email': 'alice@contoso.com',
        'capabilities': ['write:notes'],
        'scopes': [SCOPE],
        **more,
    }
    return registry.register(**values)


def test_found_by_did_and_by_account_and_unknown_ones_are_none(world: World, make: Make) -> None:
    registry = make()
    agent = registered(registry, world)
    assert registry.get_by_did(agent.agent_did) is agent
    assert registry.get_by_entra_id(agent.entra_object_id) is agent
    assert registry.get_by_did(new_did()) is None
    assert registry.get_by_did('garbage') is None
    assert registry.get_by_entra_id(str(uuid.uuid4())) is None
    # The object of AGT, which its own registry refuses.
    identity = AgentIdentity.create(name='an agent', sponsor='alice@contoso.com')
    mapped = registry.register(identity.did, 'an agent', world.account(), 'alice@contoso.com')  # type: ignore[arg-type]
    assert mapped.agent_did == str(identity.did)


def test_a_suspension_switches_the_account_off_and_another_process_lifts_it(world: World, make: Make) -> None:
    registry = make()
    agent = registered(registry, world)
    assert agent.is_active()
    assert registry.suspend_agent(agent.agent_did, 'odd behaviour')
    assert agent.status is EntraAgentStatus.SUSPENDED
    assert not registry.suspend_agent(agent.agent_did)
    assert not registry.suspend_agent(new_did())
    until('the account is off', lambda: not world.tenant_state(agent.entra_object_id)['enabled'])
    assert registry.verify_access(agent.agent_did, SCOPE) == (False, 'Agent status: suspended')
    assert not make().suspend_agent(agent.agent_did), 'a process that was started anew knows its own hold'
    assert not make(client='registry-operator').reactivate_agent(agent.agent_did), "nor does it lift another client's"
    assert not agent.is_active()
    assert make().reactivate_agent(agent.agent_did)
    assert agent.is_active()
    assert not registry.reactivate_agent(agent.agent_did)


def test_the_directory_is_asked_and_its_hold_is_not_lifted_from_here(world: World, make: Make) -> None:
    registry = make()
    agent = registered(registry, world)
    world.tenant(f'objects/{agent.entra_object_id}/disable')
    until('the bridge saw it', lambda: not agent.is_active())
    assert registry.verify_access(agent.agent_did, SCOPE) == (False, 'Agent status: suspended')
    # Ours beside the directory's: the agent stays suspended when the directory lets go.
    assert registry.suspend_agent(agent.agent_did, 'and for our own reason')
    assert not registry.reactivate_agent(agent.agent_did)
    assert not agent.is_active()
    valid, issues = registry.validate_bridge_configuration(agent.agent_did)
    assert not valid
    assert issues[0] == 'Agent status is suspended, expected active'
    world.tenant(f'objects/{agent.entra_object_id}/enable')
    until('the bridge saw it', agent.is_active)


def test_registering_again_never_resets_and_never_takes_an_account(world: World, make: Make) -> None:
    registry = make()
    agent = registered(registry, world)
    same = {'agent_did': agent.agent_did, 'entra_object_id': agent.entra_object_id}
    registry.suspend_agent(agent.agent_did)
    assert registered(registry, world, **same) is agent
    assert agent.status is EntraAgentStatus.SUSPENDED
    with pytest.raises(BridgeError) as refused:
        registered(registry, world, **same, capabilities=['everything:*'])
    assert refused.value.code == 'E_EXISTS'
    with pytest.raises(BridgeError) as refused:
        registered(registry, world, entra_object_id=agent.entra_object_id)
    assert refused.value.code == 'E_PRINCIPAL_TAKEN'
    with pytest.raises(BridgeError) as refused:
        registered(registry, world, entra_object_id=str(uuid.uuid4()))
    assert refused.value.code == 'E_PRINCIPAL_ABSENT'


def test_a_disabled_agent_does_not_come_back(world: World, make: Make) -> None:
    registry = make('registry-operator')
    agent = registered(make(), world)
    assert registry.disable_agent(agent.agent_did)
    assert registry.disable_agent(agent.agent_did)
    assert registry.list_agents(EntraAgentStatus.DISABLED) != []
    assert registry.verify_access(agent.agent_did, SCOPE) == (False, 'Agent status: disabled')
    assert not registry.reactivate_agent(agent.agent_did)
    assert not registry.disable_agent(new_did())
    assert len([hold for hold in world.open_holds(agent.agent_did) if hold['severity'] == 'disable']) == 1
    with pytest.raises(BridgeError) as refused:
        make().disable_agent(registered(make(), world).agent_did)
    assert refused.value.code == 'E_FORBIDDEN'


def test_access_takes_a_scope_that_was_granted_and_a_bridge_that_answers(
    world: World, make: Make, relay: Relay
) -> None:
    registry = make()
    agent = registered(registry, world)
    assert registry.verify_access(agent.agent_did, SCOPE) == (True, 'Access granted')
    assert registry.verify_access(agent.agent_did, 'Mail.Read') == (False, 'Agent lacks scope: Mail.Read')
    assert registry.verify_access(new_did(), SCOPE) == (False, 'Agent not registered in Entra registry')
    assert not registry.verify_access(agent.agent_did, '')[0]
    far = make(url=relay.origin)
    assert far.verify_access(agent.agent_did, SCOPE)[0]
    relay.cut()
    assert far.verify_access(agent.agent_did, SCOPE) == (False, 'The bridge could not be asked: E_UNREACHABLE')
    with pytest.raises(BridgeError, match='E_UNREACHABLE'):
        far.get_by_did(agent.agent_did)
    with pytest.raises(BridgeError, match='E_UNREACHABLE'):
        far.suspend_agent(agent.agent_did)


def test_blueprints_give_defaults_and_demand_a_sponsor(world: World, make: Make) -> None:
    registry = make()
    blueprint = EntraAgentBlueprint(
        display_name='Analyst', default_capabilities=['read:reports'], conditional_access_policy='ca-1'
    )
    registry.register_blueprint(blueprint)
    agent = registered(registry, world, capabilities=None, blueprint_name='Analyst')
    assert agent.capabilities == ['read:reports']
    assert agent.conditional_access_policy == 'ca-1'
    with pytest.raises(ValueError, match='requires a sponsor'):
        registered(registry, world, sponsor_email='', blueprint_name='Analyst')
    with pytest.raises(ValueError, match='not registered'):
        registered(registry, world, blueprint_name='Unheard of')


def test_blueprints_are_defined_at_the_bridge_once_and_an_operators_stays(world: World, make: Make) -> None:
    registry = make()
    name, other = (f'Blueprint/{uuid.uuid4().hex[:8]} é' for _ in range(2))
    path = f'/v1/blueprints/{quote(name, safe="")}'
    policy = str(world.tenant('policies', {'displayName': 'Block agents at risk'})['id'])
    registry.register_blueprint(
        EntraAgentBlueprint(
            display_name=name, description='x', max_delegation_depth=3, conditional_access_policy=policy.upper()
        )
    )
    defined = world.as_client('alice').get(path).body
    assert isinstance(defined, dict)
    assert [defined[member] for member in ('origin', 'description', 'requireSponsor', 'maxDelegationDepth')] == [
        'api',
        'x',
        True,
        3,
    ]
    assert defined['accessPolicy']['id'] == policy.upper()
    world.as_client('alice').ask('PUT', path, {'capabilities': ['read:x'], 'requireSponsor': True})
    registry.register_blueprint(EntraAgentBlueprint(display_name=name, require_sponsor=False))
    agent = registered(registry, world, blueprint_name=name)
    assert agent.capabilities == ['read:x', 'write:notes']
    with pytest.raises(BridgeError, match='E_SPONSOR'):
        registered(registry, world, sponsor_email='', blueprint_name=name)
    # One that only the bridge knows will do.
    assert registered(make(), world, blueprint_name=name).blueprint_name == name
    with pytest.raises(BridgeError, match='E_ACCESS_POLICY'):
        registry.register_blueprint(
            EntraAgentBlueprint(display_name=other, conditional_access_policy=str(uuid.uuid4()))
        )
    with pytest.raises(ValueError, match='not registered'):
        registered(registry, world, blueprint_name=other)


def test_lists_by_status_and_by_sponsor(world: World, make: Make) -> None:
    registry = make()
    sponsor, other = (f'{uuid.uuid4().hex}@contoso.com' for _ in range(2))
    first, second = (registered(registry, world, sponsor_email=sponsor) for _ in range(2))
    third = registered(registry, world, sponsor_email=other)
    registry.suspend_agent(second.agent_did)

    def dids(agents: list[EntraAgentIdentity]) -> set[str]:
        return {agent.agent_did for agent in agents} & {one.agent_did for one in (first, second, third)}

    assert dids(registry.list_agents()) == {first.agent_did, second.agent_did, third.agent_did}
    assert dids(registry.list_agents(EntraAgentStatus.ACTIVE)) == {first.agent_did, third.agent_did}
    assert dids(registry.list_agents(EntraAgentStatus.SUSPENDED)) == {second.agent_did}
    assert dids(registry.get_sponsor_agents(sponsor)) == {first.agent_did, second.agent_did}
    assert registry.get_sponsor_agents('') == []


def test_the_log_has_each_event_once_with_its_reason(world: World, make: Make) -> None:
    registry = make()
    agent = registered(registry, world)
    registry.suspend_agent(agent.agent_did, 'odd behaviour')
    registry.reactivate_agent(agent.agent_did)
    entries = list(registry.iter_audit_log(agent.agent_did))
    assert [entry['event_type'] for entry in entries] == ['register', 'suspend', 'reactivate']
    assert [entry['status'] for entry in entries] == ['active', 'suspended', 'active']
    assert entries[1]['reason'] == 'odd behaviour'
    assert {(entry['entra_object_id'], entry['sponsor_email']) for entry in entries} == {
        (agent.entra_object_id, 'alice@contoso.com')
    }


def test_leaving_a_group_takes_its_capabilities_and_no_others(world: World, make: Make) -> None:
    registry = make()
    agent = registered(registry, world)
    group = world.facts['group']
    mapped = {group: ['read:customer-data', 'read:reports']}
    assert registry.sync_group_memberships(agent.agent_did, None, mapped) == ['write:notes']
    member = {'memberId': agent.entra_object_id}
    world.tenant(f'groups/{group}/members', member)
    until(
        'the group gave its capabilities',
        lambda: (
            registry.sync_group_memberships(agent.agent_did, None, mapped)
            == ['read:customer-data', 'read:reports', 'write:notes']
        ),
    )
    world.tenant(f'groups/{group}/removeMember', member)
    until(
        'they are gone',
        lambda: registry.sync_group_memberships(agent.agent_did, None, mapped) == ['write:notes'],
    )
    assert agent.scopes == [SCOPE]
    with pytest.raises(KeyError, match='not found'):
        registry.sync_group_memberships(new_did(), None, mapped)


def test_validation_knows_what_is_missing_and_the_wrong_tenant(world: World, make: Make) -> None:
    registry = make()
    account = world.account()
    whole = registered(registry, world, entra_object_id=account, entra_app_id=account)
    assert registry.validate_bridge_configuration(whole.agent_did) == (True, [])
    bare = registered(registry, world, sponsor_email='')
    valid, issues = registry.validate_bridge_configuration(bare.agent_did)
    assert not valid
    assert set(issues) == {
        'Missing sponsor_email (required for Agent365)',
        'Missing entra_app_id — Agent365 may not resolve the agent',
    }
    unknown = new_did()
    assert registry.validate_bridge_configuration(unknown) == (False, [f"Agent '{unknown}' not found in registry"])
    valid, issues = make(tenant_id='another-tenant').validate_bridge_configuration(whole.agent_did)
    assert not valid
    assert 'another-tenant' in issues[0]


def test_an_identity_that_nobody_registered_is_only_data() -> None:
    identity = EntraAgentIdentity.create('did:mesh:1', 'an agent', 'oid', 'tenant', 'alice@contoso.com', scopes=['a'])
    assert identity.has_scope('a')
    assert not identity.has_scope('b')
    assert identity.is_active()
    assert identity.last_activity is None
    identity.record_activity()
    assert identity.to_audit_record()['last_activity'] is not None
    for act in (identity.suspend, identity.reactivate, identity.disable):
        with pytest.raises(RuntimeError, match='not registered'):
            act()


def test_what_is_set_up_wrongly_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('IDP_BRIDGE_URL', raising=False)
    for wrong in (
        {},
        {'url': 'http://bridge.contoso.com', 'token': 'x'},
        {'url': 'https://bridge.contoso.com/path', 'token': 'x'},
        {'url': 'https://bridge.contoso.com', 'token': 'two words'},
    ):
        with pytest.raises(BridgeError, match='E_CONFIGURATION'):
            EntraAgentRegistry('tenant', **wrong)
