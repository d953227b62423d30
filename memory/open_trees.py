"""The trees that are open: one file and one lock each, the longest unused closed first. Everything blocks."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from memory.files import tree_path
from memory.stored import TreeKey
from memory.tree_file import TreeFile


@dataclass(slots=True)
class _Place:
    lock: threading.Lock = field(default_factory=threading.Lock)
    tree: TreeFile | None = None
    users: int = 0


class OpenTrees:
    """At most `limit` open trees, besides those in use this moment."""

    def __init__(
        self, root: Path, limit: int, opened: Callable[[TreeFile], None], clock: Callable[[], float]
    ) -> None:
        """`opened` is called with every tree that was opened, under its lock; `clock` dates what is stored."""
        self._root = root
        self._limit = limit
        self._opened = opened
        self._clock = clock
        self._guard = threading.Lock()
        self._places: OrderedDict[TreeKey, _Place] = OrderedDict()

    @contextmanager
    def use(self, key: TreeKey, *, create: bool = False) -> Iterator[TreeFile | None]:
        """The tree, under its lock; None when it has no file and is not to be created."""
        place = self._enter(key)
        try:
            with place.lock:
                if place.tree is None:
                    place.tree = self._open(key, create)
                yield place.tree
                if place.tree is not None and place.tree.closed:
                    place.tree = None
        finally:
            self._leave(key, place)

    def held(self, key: TreeKey) -> TreeFile | None:
        """The tree if it is open, without its lock and without the disk: for what is held in RAM."""
        with self._guard:
            place = self._places.get(key)
            if place is None or place.tree is None:
                return None
            self._places.move_to_end(key)
            return place.tree

    def _enter(self, key: TreeKey) -> _Place:
        with self._guard:
            place = self._places.setdefault(key, _Place())
            self._places.move_to_end(key)
            place.users += 1
            return place

    def _open(self, key: TreeKey, create: bool) -> TreeFile | None:
        path = tree_path(self._root, key)
        if not create and not path.exists():
            return None
        tree = TreeFile(path, key, self._clock)
        try:
            self._opened(tree)
        except BaseException:
            tree.close()
            raise
        return tree

    def _leave(self, key: TreeKey, place: _Place) -> None:
        closing = []
        with self._guard:
            place.users -= 1
            if place.tree is None and not place.users:
                self._places.pop(key, None)
            for other, idle in list(self._places.items()):
                if len(self._places) <= self._limit:
                    break
                if not idle.users:
                    closing.append(self._places.pop(other).tree)
        for tree in closing:
            if tree is not None:
                tree.close()

    def close(self) -> None:
        with self._guard:
            places, self._places = list(self._places.values()), OrderedDict()
        for place in places:
            with place.lock:
                if place.tree is not None:
                    place.tree.close()
