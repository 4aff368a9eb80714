"""Which DIDs must not act, and why: data in, data out. No clock, no I/O, no lock."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_SEVERITIES = ('suspend', 'kill', 'disable', 'decommission')
_SEEN = 10_000


@dataclass(frozen=True)
class Hold:
    """A recorded reason why an agent must not act. ``reason`` is for operators; do not show it to agents."""

    id: str
    severity: str
    origin: str
    reason: str

    @property
    def kills(self) -> bool:
        """Running work must stop, beyond not being let in. A severity this client does not know counts as grave."""
        return self.severity != 'suspend'


def gravest(holds: Iterable[Hold]) -> Hold | None:
    rank = {name: place for place, name in enumerate(_SEVERITIES)}
    return max(holds, key=lambda hold: rank.get(hold.severity, len(rank)), default=None)


class Held:
    """A DID is held while the bridge says so, or while a kill of ours is not yet known to the stream.

    The answer to a kill names its hold; the stream tells of the same hold, before or after. Until it has, or until a
    snapshot that was asked for after the answer lacks it, the hold counts: an older snapshot knows nothing of it.
    """

    def __init__(self) -> None:
        self._told: dict[str, dict[str, Hold]] = {}
        self._pending: dict[str, set[str]] = {}
        self._answered: dict[str, dict[str, int]] = {}
        self._seen: OrderedDict[str, None] = OrderedDict()
        #: False until the first snapshot, and again after a silence: nothing is known then.
        self.known = False
        #: How many times the stream was opened.
        self.epoch = 0

    def is_held(self, did: str) -> bool:
        return did in self._told or did in self._pending or did in self._answered

    def holds(self, did: str) -> tuple[Hold, ...]:
        """Those the stream told of."""
        return tuple(self._told.get(did, {}).values())

    def must_stop(self, did: str) -> bool:
        """Whether what runs under the DID must be stopped, not only kept out."""
        return did in self._pending or did in self._answered or any(hold.kills for hold in self.holds(did))

    def dids(self) -> set[str]:
        return {*self._told, *self._pending, *self._answered}

    def snapshot(self, told: Mapping[str, Iterable[Hold]]) -> tuple[list[tuple[str, Hold]], list[str]]:
        """Everything that is held. Gives the holds that are new or changed, and the DIDs that are free now."""
        before, was_held = self._told, self.dids()
        self._told = {did: {hold.id: hold for hold in holds} for did, holds in told.items()}
        for did, holds in self._told.items():
            for hold_id in holds:
                self._see(did, hold_id)
        for did in list(self._answered):
            self._answered[did] = {key: at for key, at in self._answered[did].items() if at > self.epoch}
            if not self._answered[did]:
                del self._answered[did]
        self.known = True
        fresh = [
            (did, hold)
            for did, holds in self._told.items()
            for hold in holds.values()
            if before.get(did, {}).get(hold.id) != hold
        ]
        return fresh, sorted(was_held - self.dids())

    def suspended(self, did: str, hold: Hold) -> bool:
        """A hold was placed or changed. False when it was known like this already."""
        self._see(did, hold.id)
        holds = self._told.setdefault(did, {})
        if holds.get(hold.id) == hold:
            return False
        holds[hold.id] = hold
        return True

    def resumed(self, did: str) -> bool:
        """The last hold that the stream told of was released. True when nothing else holds the DID."""
        return self._told.pop(did, None) is not None and not self.is_held(did)

    def released(self, spellings: Iterable[str]) -> list[str]:
        """The last hold of an agent was released; gives the DIDs that are free now. A spelling that was removed in the
        meantime is not named any more, and is held by the same holds."""
        given = list(spellings)
        over = {hold_id for did in given for hold_id in self._told.get(did, {})}
        free = [did for did in given if self.resumed(did)]
        for did, holds in list(self._told.items()):
            if over.isdisjoint(holds):
                continue
            left = {hold_id: hold for hold_id, hold in holds.items() if hold_id not in over}
            if left:
                self._told[did] = left
            elif self.resumed(did):
                free.append(did)
        return free

    def killing(self, did: str, key: str) -> None:
        """A kill of ours was queued."""
        self._pending.setdefault(did, set()).add(key)

    def delivered(self, did: str, key: str, hold_id: str | None) -> bool:
        """The bridge answered it; without a hold id it holds no longer. True when the DID is free now."""
        keys = self._pending.get(did, set())
        keys.discard(key)
        if not keys:
            self._pending.pop(did, None)
        if hold_id is not None and hold_id not in self._seen:
            self._answered.setdefault(did, {})[hold_id] = self.epoch + 1
        return not self.is_held(did)

    def _see(self, did: str, hold_id: str) -> None:
        self._seen[hold_id] = None
        self._seen.move_to_end(hold_id)
        if len(self._seen) > _SEEN:
            self._seen.popitem(last=False)
        answered = self._answered.get(did, {})
        answered.pop(hold_id, None)
        if not answered:
            self._answered.pop(did, None)
