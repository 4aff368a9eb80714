"""Server-sent events as the WHATWG HTML standard frames them (§9.2)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    name: str
    data: str
    #: The id to resume after; None when none was ever sent.
    id: str | None


class EventParser:
    """Takes a stream line by line and gives each event when its last line has come."""

    def __init__(self) -> None:
        self._name = ''
        self._data: list[str] = []
        self._id: str | None = None

    def feed(self, raw: bytes) -> Event | None:
        line = raw.decode('utf-8', 'replace').rstrip('\r\n')
        if line == '':
            event = Event(self._name, '\n'.join(self._data), self._id) if self._data else None
            self._name, self._data = '', []
            return event
        field, _, value = line.partition(':')
        value = value.removeprefix(' ')
        if field == 'event':
            self._name = value
        elif field == 'data':
            self._data.append(value)
        elif field == 'id' and '\0' not in value:
            self._id = value
        return None
