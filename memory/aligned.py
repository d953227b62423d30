"""A window beside the session that it belongs to, and beside the other sessions of that one's tree."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from memory.align import Aligner, Alignment
from memory.incoming import Incoming
from memory.path import Path
from memory.stored import TreeKey
from memory.transcript import Transcript


async def aligned_with(
    path: Path,
    window: Sequence[Incoming],
    transcript: Transcript,
    key: TreeKey,
    aligner: Aligner,
    *,
    pinned: bool,
    continues: bool,
    again: bool,
) -> Alignment:
    """What a window is to a path of a tree, as `align` tells it. Where it shows another line of the tree, that is as
    another session has it."""
    tree = await transcript.tree(key)
    aligned = partial(aligner, window, path, tree, pinned=pinned, continues=continues, again=again)
    alignment = aligned()
    if not (pinned and alignment.left and any(i is not None and i not in path for i in alignment.rows)):
        return alignment
    lines = [line.path for line in await transcript.lines(key) if line.path.ranges != path.ranges]
    return aligned(lines=lines) if lines else alignment
