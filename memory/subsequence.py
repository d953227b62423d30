"""The longest common subsequence of a short row of symbols and a long one, many symbols at a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def longest_common(symbols: Sequence[int], places: Mapping[int, Sequence[int]]) -> list[tuple[int, int]]:
    """Pairs (index into `symbols`, position), both ascending; ties go to the latest positions.

    `places` are the positions of each symbol in the long row. Bit-parallel (Hyyro, 2004): a set bit of
    `gains[n]` is a position, the latest one having the lowest bit, from which on the symbols from index n on
    have one more in common than from the position after it. Whole integers are added instead of single
    pairs being looked at, so that a row that repeats itself costs no more than another.
    """
    positions = sorted((position for found in places.values() for position in found), reverse=True)
    bit_of = {position: bit for bit, position in enumerate(positions)}
    masks = {symbol: _mask([bit_of[p] for p in found], len(positions)) for symbol, found in places.items()}
    symbol_at = {position: symbol for symbol, found in places.items() for position in found}
    gains = _gains(symbols, masks, len(positions))
    pairs: list[tuple[int, int]] = []
    row, gain = 0, gains[0]
    for left in reversed(range(gain.bit_count())):
        bit = gain.bit_length() - 1
        later = (1 << bit) - 1
        symbol = symbol_at[positions[bit]]
        while symbols[row] != symbol or (gains[row + 1] & later).bit_count() != left:
            row += 1
        pairs.append((row, positions[bit]))
        gain = gains[row + 1] & later
        row += 1
    return pairs


def _gains(symbols: Sequence[int], masks: Mapping[int, int], length: int) -> list[int]:
    """For every index the positions that gain one, see `longest_common`; of the empty rest at the end none."""
    every = (1 << length) - 1
    same = every
    gains = [0]
    for symbol in reversed(symbols):
        met = same & masks.get(symbol, 0)
        if met:
            same = ((same + met) | (same - met)) & every
        gains.append(every ^ same)
    gains.reverse()
    return gains


def _mask(bits: Sequence[int], length: int) -> int:
    mask = bytearray(length // 8 + 1)
    for bit in bits:
        mask[bit >> 3] |= 1 << (bit & 7)
    return int.from_bytes(mask, "little")
