"""AGT's scores of 0 to 1000, reported to the real daemon."""

from __future__ import annotations

from typing import Any

import pytest
from agentmesh.reward.engine import RewardEngine
from conftest import Attach
from world import World, until

from agentmesh_idp_bridge import BridgeError


def test_a_score_of_the_reward_engine_suspends_the_agent_and_lets_it_go(world: World, attached: Attach) -> None:
    did, account = world.agent()
    attachment = attached()
    engine = RewardEngine()
    assert attachment.gate.check(did)
    (answer,) = attachment.report_trust({did: engine.get_agent_score(did).total_score})
    assert (answer.did, answer.status, answer.score, answer.hold) == (did, 'ok', 500, None)

    engine.get_agent_score(did).total_score = 299
    (low,) = attachment.report_trust({did: engine.get_agent_score(did).total_score})
    assert low.hold is not None
    until('the gate is closed', lambda: not attachment.gate.check(did))
    until('the account is off', lambda: not world.tenant_state(account)['enabled'])
    assert [hold['origin'] for hold in world.open_holds(did)] == ['policy:trust']
    assert world.agent_body(did)['trust']['reports'][0]['client'] == 'runtime'

    (between,) = attachment.report_trust({did: 499})
    assert between.hold == low.hold
    (high,) = attachment.report_trust({did: 500})
    assert high.hold is None
    until('the gate is open', lambda: bool(attachment.gate.check(did)))
    until('the account is on', lambda: world.tenant_state(account)['enabled'])


def test_nothing_is_kept_of_strangers_and_a_number_off_the_scale_is_not_sent(world: World, attached: Attach) -> None:
    did, _ = world.agent()
    attachment = attached()
    (answer,) = attachment.report_trust({'did:mesh:nobody': 1})
    assert (answer.status, answer.score, answer.hold) == ('unknown', None, None)
    wrong: list[Any] = [0.5, True, '500', -1, 1001, None]
    for score in wrong:
        with pytest.raises(ValueError, match='no trust score'):
            attachment.report_trust({did: score})
    assert world.agent_body(did)['trust'] is None
    assert attachment.report_trust({}) == []
    with pytest.raises(BridgeError) as refused:
        attachment.report_trust({'garbage': 1})
    assert refused.value.code == 'E_DID'
