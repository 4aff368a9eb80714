"""AGT's own policy backend, asking the daemon as if it were an OPA."""

from __future__ import annotations

from agentmesh.governance.opa import OPAEvaluator, OPAPolicyBackend
from world import World


def test_the_policy_backend_of_agt_is_answered_by_the_daemon(world: World) -> None:
    did, _ = world.agent()
    backend = OPAPolicyBackend(OPAEvaluator(mode='remote', opa_url=world.policy))
    assert backend.healthy()
    for context in ({'agent_did': did}, {'agent': {'id': did, 'role': 'analyst'}, 'action': 'export'}):
        assert backend.evaluate('export', context).allowed
    assert not backend.evaluate('export', {'agent_did': f'{did}0'}).allowed
    assert not backend.evaluate('export', {}).allowed

    evaluator = OPAEvaluator(mode='remote', opa_url=world.policy)
    query = 'data.agentmesh.allow'
    assert evaluator.evaluate(query, {'agentId': did}).allowed
    assert not evaluator.evaluate(query, {'agentId': did, 'action': 'write:salaries'}).allowed
    assert not evaluator.evaluate('data.other.allow', {'agentId': did}).allowed

    world.as_client('runtime').post('/v1/kill', {'agentId': did, 'reason': 'loop'})
    for context in ({'agent_did': did}, {'agent': did}):
        decision = backend.evaluate('export', context)
        assert not decision.allowed
        assert decision.raw_response == {'result': False}
