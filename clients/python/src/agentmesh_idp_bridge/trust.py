"""Trust scores of this runtime for the bridge, which may suspend an agent for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from . import fields
from .transport import Bridge

_AT_ONCE = 1000


@dataclass(frozen=True)
class TrustAnswer:
    """What became of one score."""

    did: str
    #: ``ok``, or why it was not recorded: ``unknown``, ``forbidden``, ``decommissioned``.
    status: str
    #: What the bridge keeps, on 0-1000.
    score: float | None
    #: The hold that is open for the agent's score.
    hold: str | None


def report_trust(bridge: Bridge, scores: Mapping[str, int]) -> list[TrustAnswer]:
    """Reports scores on AGT's scale of 0 to 1000, by DID. Raises ValueError for a number that is not on it."""
    items = [_item(did, score) for did, score in scores.items()]
    return [answer for start in range(0, len(items), _AT_ONCE) for answer in _sent(bridge, items[start:][:_AT_ONCE])]


def _item(did: str, score: int) -> dict[str, object]:
    # A fraction is on the scale of AGT's other SDKs, and True is an int.
    if type(score) is not int or not 0 <= score <= 1000:
        raise ValueError(f'{score!r} is no trust score: an integer from 0 to 1000')
    return {'did': str(did), 'score': score, 'scale': '0-1000'}


def _sent(bridge: Bridge, items: list[dict[str, object]]) -> Iterator[TrustAnswer]:
    answer = fields.as_members(bridge.post('/v1/trust', {'items': items}).body)
    for item in fields.items(answer, 'items'):
        score = item.get('score')
        yield TrustAnswer(
            fields.text(item, 'did'),
            fields.text(item, 'status'),
            score if isinstance(score, int | float) else None,
            fields.optional_text(item, 'hold'),
        )
