"""Members of JSON answers, checked: an answer that lacks one is ``E_ANSWER``, never a guess."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from .errors import BridgeError


def _wrong(name: str, expected: str) -> BridgeError:
    return BridgeError('E_ANSWER', f'The bridge answered without {expected} in {name!r}.')


def as_members(value: object, what: str = 'the body') -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise _wrong(what, 'an object')
    return cast('Mapping[str, object]', value)


def text(members: Mapping[str, object], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str):
        raise _wrong(name, 'text')
    return value


def optional_text(members: Mapping[str, object], name: str) -> str | None:
    return None if members.get(name) is None else text(members, name)


def number(members: Mapping[str, object], name: str) -> int:
    value = members.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(name, 'a number')
    return value


def flag(members: Mapping[str, object], name: str) -> bool:
    value = members.get(name)
    if not isinstance(value, bool):
        raise _wrong(name, 'true or false')
    return value


def items(members: Mapping[str, object], name: str) -> Sequence[Mapping[str, object]]:
    value = members.get(name)
    if not isinstance(value, list):
        raise _wrong(name, 'a list')
    return [as_members(item, name) for item in value]


def texts(members: Mapping[str, object], name: str) -> list[str]:
    value = members.get(name)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong(name, 'a list of texts')
    return list(value)


def optional_texts(members: Mapping[str, object], name: str) -> list[str]:
    """Empty when it is absent."""
    return texts(members, name) if name in members else []


def maybe_members(members: Mapping[str, object], name: str) -> Mapping[str, object]:
    """The object under a name; empty when it is absent or null."""
    value = members.get(name)
    return {} if value is None else as_members(value, name)
