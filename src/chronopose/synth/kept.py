"""The few things last used, so that what returns is not made again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """Values by key; the one that was not asked for the longest leaves first.

    Args:
        most: How many to keep.
        leave: Called with a value that leaves, to give its memory back.
    """

    def __init__(self, most: int, leave: Callable[[Value], None] | None = None) -> None:
        self._most = most
        self._leave = leave or (lambda _: None)
        self._values: OrderedDict[Hashable, tuple[tuple[object, ...], Value]] = OrderedDict()

    def get(self, key: Hashable, source: tuple[object, ...], make: Callable[[], Value]) -> Value:
        """The value of ``key``, made if there is none or if it was made from other objects.

        Args:
            key: Name.
            source: The objects it is made from, compared by identity and kept alive.
            make: Makes it.
        """
        found = self._values.get(key)
        if found is not None:
            if len(found[0]) == len(source) and all(map(_same, found[0], source)):
                self._values.move_to_end(key)
                return found[1]
            del self._values[key]
            self._leave(found[1])
        value = make()
        self._values[key] = source, value
        if len(self._values) > self._most:
            self._leave(self._values.popitem(last=False)[1][1])
        return value

    def clear(self) -> None:
        """Let everything leave."""
        while self._values:
            self._leave(self._values.popitem()[1][1])


def _same(one: object, other: object) -> bool:
    return one is other
