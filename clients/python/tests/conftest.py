from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypervisor import KillSwitch
from world import PATIENCE, Relay, World, start_world

from agentmesh_idp_bridge import Attachment, attach


@pytest.fixture(scope='session')
def world() -> Iterator[World]:
    with start_world() as started:
        yield started


@pytest.fixture
def relay(world: World) -> Iterator[Relay]:
    made = Relay(world)
    yield made
    world.relays.remove(made)
    made.close()


Attach = Callable[..., Attachment]


@pytest.fixture
def attached(world: World, tmp_path: Path) -> Iterator[Attach]:
    """Attaches a runtime that knows who is held; detached with the test."""
    with ExitStack() as stack:

        def make(kill_switch: KillSwitch | None = None, *, ready: bool = True, **more: Any) -> Attachment:
            settings: dict[str, Any] = {
                'url': world.origin,
                'token': world.token('runtime'),
                'kill_switch': kill_switch,
                'queue': tmp_path / 'kills.db',
                **more,
            }
            attachment = stack.enter_context(attach(**settings))
            assert not ready or attachment.ready(PATIENCE)
            return attachment

        yield make
