"""An agents' process for tests of the whole: attaches AGT's kill switch and says what happens, a line each.

Arguments: url, token, queue file, and the DIDs of the agents that run here. Runs until it is killed.
"""

from __future__ import annotations

import sys
import time

from hypervisor import KillSwitch

from agentmesh_idp_bridge import Change, attach


def say(text: str) -> None:
    print(text, flush=True)


def main(url: str, token: str, queue: str, *dids: str) -> None:
    switch = KillSwitch()

    def start(did: str) -> None:
        switch.register_agent(did, lambda: say(f'stopped {did}'))

    def changed(change: Change) -> None:
        # AGT forgets the handle of an agent that it killed.
        if not change.held and change.did in dids:
            start(change.did)

    for did in dids:
        start(did)
    with attach(url=url, token=token, kill_switch=switch, queue=queue, on_change=changed) as attachment:
        is_open: dict[str, bool] = {}
        while True:
            for did in dids:
                allowed = attachment.gate.check(did).allowed
                if is_open.get(did) is not allowed:
                    is_open[did] = allowed
                    say(f'{"open" if allowed else "closed"} {did}')
            time.sleep(0.02)


if __name__ == '__main__':
    main(*sys.argv[1:])
