"""What is said in the chats: texts that nobody said before, and some that are said all the time."""

from __future__ import annotations

from random import Random

from tests.truth.lines import COMMON

WORDS = (
    "lantern cellar gull tide letter sister brother clock jam apple secret market forest mountain violin "
    "painter remember forgive wander whisper gather follow answer listen carry open borrow mend hide laugh"
).split()


class Texts:
    """Texts drawn from `rng`."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self._texts = 0

    def new(self, *, common: bool = True) -> str:
        """A text nobody said before, or, seldom, one that is said all the time."""
        rng = self.rng
        if common and rng.random() < 0.12:
            return rng.choice(COMMON)
        self._texts += 1
        words = [rng.choice(WORDS) for _ in range(rng.randint(2, 6))]
        text = f"{' '.join(words).capitalize()} {self._texts}."
        odd = rng.random()
        if odd < 0.1:
            return f"{text}  {rng.choice(WORDS)} \n"
        return f"{text}\n\n*{rng.choice(WORDS)} {self._texts}*" if odd < 0.2 else text
