"""Which messages of a tree name those who speak somewhere in it: to a path on which these do not, that is news."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable

import numpy as np
import numpy.typing as npt


class Calls:
    """For every word of the speakers' names the messages that have it inside a sentence."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._by_word = {word: array("i") for word in sorted(_words(names))}

    @classmethod
    def again(cls, names: Iterable[str], kept: npt.NDArray[np.int32]) -> Calls:
        """What `kept` gave of these names."""
        calls = cls(names)
        for number, messages in enumerate(calls._by_word.values()):
            messages.frombytes(kept[kept[:, 0] == number, 1].tobytes())
        return calls

    def kept(self, but: Collection[int]) -> npt.NDArray[np.int32]:
        """Shape (calls, 2): the number of a word and a message; those of the messages `but` are left out."""
        pairs = [(n, i) for n, ids in enumerate(self._by_word.values()) for i in ids if i not in but]
        return np.array(pairs, np.int32).reshape(-1, 2)

    def add(self, message_id: int, names: Iterable[str]) -> set[str]:
        """Note what a message names; those of the names that are no speaker's."""
        news = set()
        for name in names:
            if name in self._by_word:
                self._by_word[name].append(message_id)
            else:
                news.add(name)
        return news

    def remove(self, message_id: int) -> None:
        for messages in self._by_word.values():
            if message_id in messages:
                messages.remove(message_id)

    def of_others(self, names: Iterable[str], known: int) -> npt.NDArray[np.bool_]:
        """Shape (known,), by id: which messages name one who is none of these."""
        own = _words(names)
        found = np.zeros(known, np.bool_)
        for word, messages in self._by_word.items():
            if word not in own:
                found[np.frombuffer(messages, np.int32)] = True
        return found


def _words(names: Iterable[str]) -> set[str]:
    return {word for name in names for word in name.split()}
