"""Client of agentmesh-idp-bridge for Python runtimes of the Agent Governance Toolkit."""

from .attaching import Attachment, Status, attach
from .delegating import sign_delegation
from .errors import BridgeError, Unreachable
from .gate import Denied, Gate, Verdict
from .held import Hold
from .local import Change
from .trust import TrustAnswer

__all__ = [
    'Attachment',
    'BridgeError',
    'Change',
    'Denied',
    'Gate',
    'Hold',
    'Status',
    'TrustAnswer',
    'Unreachable',
    'Verdict',
    'attach',
    'sign_delegation',
]
