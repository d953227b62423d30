"""Which session a request belongs to, by id or by content."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Protocol

from memory.align import TELLING_ROWS, Aligner, Alignment, align
from memory.aligned import aligned_with
from memory.assignment import Assignment, Request, new_id
from memory.candidates import SHARED_BY_A_FORK, Candidate, likeliest, may_be_first
from memory.files import safe_name
from memory.path import Path
from memory.reading import at_the_seams, paragraphs_of
from memory.stored import Session, TreeKey
from memory.transcript import Transcript, TreeView
from memory.tree_shape import NO_TREE
from memory.whose import Whose


class Finder(Protocol):
    """What tells sessions by what a request holds (`memory.catalog`)."""

    async def chats_of(self, owner: str, chat_id: str, whose: Whose) -> list[str]: ...

    async def of_person(self, owner: str, user: str, character: str) -> str | None: ...

    async def holding(self, owner: str, fingerprints: Sequence[int]) -> list[TreeKey]: ...


class Assigner:
    """Finds the session of a request as things stand."""

    def __init__(self, transcript: Transcript, finder: Finder, aligner: Aligner) -> None:
        self._transcript = transcript
        self._finder = finder
        self._align = aligner

    async def assign(self, request: Request) -> Assignment:
        """The request's session and how it changes; the request has been `cleaned`."""
        if request.session_id:
            session = await self._transcript.session(request.owner, request.session_id)
            return await self._on(session, request) if session else self._new(request, request.session_id)
        if request.chat_id:
            return await self._of_chat(request)
        if request.user and request.is_lone:
            return await self._of_person(request)
        best = await self._by_content(request)
        if best is None:
            return self._new(request, new_id())
        if best.is_fork:
            return _fork(best, new_id())
        return Assignment(best.session.key, best.session.session_id, best.session, best.alignment)

    async def _of_chat(self, request: Request) -> Assignment:
        """The chat's session, or one without an id that goes on, or a branch of what the window matches."""
        session = await self._named(request)
        if session is not None:
            on_it = self._on if request.exact else self._on_its_line
            return await on_it(session, request)
        name = await self._free_id(request)
        best = await self._by_content(request)
        if best is None:
            return self._new(request, name)
        if best.is_fork:
            return _fork(best, name)
        return await self._on(best.session, request)

    async def _named(self, request: Request) -> Session | None:
        """The session of the chat's id and character. A group's id tells no group from another, nor always
        from a chat with one of its members: there the window must not show another chat, unless the id is the
        name of a group's file. Neither must it where the session never told which character of the name it is of."""
        session = await self._of_id(request)
        if session is None or not request.whose.told:
            return session
        own, is_first = request.whose.may_have(session), request.whose.is_first_of(session)
        if request.exact and not own:
            return None
        if request.is_lone:
            return session
        in_group = session.is_group or request.whose.is_group
        if not is_first and (not in_group or request.exact):
            return session
        tree = await self._transcript.tree(session.key)
        candidate = self.candidate(session, tree, request.read_for(tree))
        if is_first:
            return session if may_be_first(candidate.alignment) else None
        if own:
            return session if candidate.alignment.matched or len(request.window) < 2 else None
        return session if candidate.tells() and candidate.is_mostly_shown() else None

    async def _of_id(self, request: Request) -> Session | None:
        """The session that the chat's id means; of several chats that nothing tells apart, for their character was
        renamed onto another, the one that the window shows, or else the one used last."""
        names = await self._finder.chats_of(request.owner, request.chat_id, request.whose)
        found = [s for name in names if (s := await self._transcript.session(request.owner, name))]
        alike = [s for s in found if request.whose.are_alike(s, found[0])]
        if len(alike) < 2 or request.is_lone:
            return found[0] if found else None
        shown = [await self._shown_of(session, request) for session in alike]
        return alike[shown.index(max(shown))]

    async def _shown_of(self, session: Session, request: Request) -> tuple[bool, int]:
        """How much of a session a window shows: more than it leaves out, and how many messages."""
        tree = await self._transcript.tree(session.key)
        candidate = self.candidate(session, tree, request.read_for(tree))
        return candidate.is_mostly_shown(), candidate.common()

    async def _free_id(self, request: Request) -> str:
        told = [who for who in (request.whose.character, request.whose.avatar) if who]
        for name in map(safe_name, [request.chat_id, *(f"{who}/{request.chat_id}" for who in told)]):
            if await self._transcript.session(request.owner, name) is None:
                return name
        return new_id()

    async def _of_person(self, request: Request) -> Assignment:
        session_id = await self._finder.of_person(request.owner, request.user, request.character)
        session = await self._transcript.session(request.owner, session_id) if session_id else None
        return await self._on(session, request) if session else self._new(request, new_id())

    async def _on(self, session: Session, request: Request) -> Assignment:
        """A session known by an id."""
        tree = await self._transcript.tree(session.key)
        alignment = await aligned_with(
            session.path,
            request.read_for(tree).window,
            self._transcript,
            session.key,
            self._align,
            pinned=True,
            continues=request.continues,
            again=request.again,
        )
        return Assignment(session.key, session.session_id, session, alignment, pinned=True)

    async def _on_its_line(self, named: Session, request: Request) -> Assignment:
        """The chat's session, or another line with its id, where the window clearly shows that one: branches
        inherit the id of their origin. One that was left must show more than an edit of the session would."""
        on = await self._on(named, request)
        if not on.alignment.left or request.is_lone:
            return on
        lines = [s for s in await self._transcript.lines(named.key) if _may_be_of(s, named, request.whose)]
        tree = await self._transcript.tree(named.key)
        shown = request.read_for(tree)
        here = self.candidate(named, tree, shown)
        best: Candidate | None = None
        for line in likeliest(lines, shown.window, tree):
            found = self.candidate(line, tree, shown)
            if (here.is_fork or not found.is_fork) and (best is None or found.rank() > best.rank()):
                best = found
        goes_on = best is not None and best.is_plain() and not (best.session.left_behind or here.is_plain())
        more = TELLING_ROWS if here.common() and not (here.is_fork or goes_on) else 0
        if best is None or not best.common() or best.common() < here.common() + max(more, best.is_fork):
            return on
        return await self._on(best.session, request)

    @staticmethod
    def _new(request: Request, session_id: str) -> Assignment:
        alignment = align(request.window, Path([]), NO_TREE, pinned=False, continues=request.continues)
        return Assignment(TreeKey(request.owner, safe_name(session_id)), session_id, None, alignment)

    async def _trees_of(self, request: Request) -> AsyncIterator[TreeKey]:
        """Trees that hold parts of the window, then those that hold what its merged rows may consist of."""
        window = request.window
        found = await self._finder.holding(request.owner, [row.fingerprint for row in window])
        for key in found:
            yield key
        if any(row.glued or row.merged for row in window):
            parts = [part for row in window for part in paragraphs_of(row)]
            parts = [*at_the_seams(window), *parts]
            for key in await self._finder.holding(request.owner, [part.fingerprint for part in parts]):
                if key not in found:
                    yield key

    async def _by_content(self, request: Request) -> Candidate | None:
        """The session that the window matches best, of a bounded number of likely ones."""
        best: Candidate | None = None
        seen: set[TreeKey] = set()
        for guess in request.guesses():
            async for key in self._trees_of(guess):
                if key not in seen:
                    seen.add(key)
                    best = await self._best_of(key, request, best)
                if best is not None and best.is_plain():
                    return best
        return best

    async def _best_of(self, key: TreeKey, request: Request, best: Candidate | None) -> Candidate | None:
        """The best one of `best` and the sessions of a tree: of those that tell, and those with which the window has
        more in common than with them."""
        tree = await self._transcript.tree(key)
        shown = request.read_for(tree)
        lines = likeliest(await self._transcript.lines(key), shown.window, tree)
        found = [c for line in lines if _is_theirs(c := self.candidate(line, tree, shown), shown)]
        telling = [candidate for candidate in found if candidate.tells()]
        most = max((candidate.common() for candidate in telling), default=len(shown.window))
        likely = [*telling, *(candidate for candidate in found if candidate.common() > most)]
        return max([*likely, *([best] if best else [])], key=Candidate.rank, default=None)

    def candidate(self, session: Session, tree: TreeView, request: Request) -> Candidate:
        """A session, and what the window of a request that was read for its tree is to it.

        An imported chat takes the id under which it goes on, edited or not, unless that is another file's name: then a
        branch of it goes on. So does a copy with another character of the same name.
        """
        alignment = self._align(request.window, session.path, tree, pinned=False, continues=request.continues)
        other_id = bool(request.chat_id and session.chat_id) and request.chat_id != session.chat_id
        is_copy = request.whose.is_namesake_of(session)
        may_go_on = not session.was_live and not request.exact
        goes_on = may_go_on and (
            alignment.apart_from_holes in ("append", "retry") or _is_edited(request, alignment)
        )
        is_kin = _branched_off(request, session)
        forks = is_copy or (other_id and (is_kin or not goes_on))
        return Candidate(session, tree, alignment, forks or alignment.change == "fork", is_kin)


def _is_edited(request: Request, alignment: Alignment) -> bool:
    """Whether a request shows a chat with an edit: it has more in common with it than a greeting and "hi". Two files
    are two chats."""
    is_edit = alignment.apart_from_holes == "edit" and not request.is_file
    return is_edit and sum(i is not None for i in alignment.rows) >= SHARED_BY_A_FORK


def _branched_off(request: Request, session: Session) -> bool:
    """Whether a request's chat says that it is a branch of a session, or the session that it is one of the chat."""
    of_it = bool(request.branch_of) and request.branch_of == session.chat_id
    return of_it or (bool(request.chat_id) and session.forked_from == safe_name(request.chat_id))


def _fork(candidate: Candidate, session_id: str) -> Assignment:
    base = candidate.session
    alignment = replace(candidate.alignment, change="fork")
    return Assignment(base.key, session_id, None, alignment, forked_from=base.session_id)


def _is_theirs(candidate: Candidate, request: Request) -> bool:
    """Whether a window may be of those whose session it is. One under another character's name is the same chat,
    its character renamed, where they share more than a greeting and "hi"; so is a group's with a chat that is none.
    What one person said is not shared with another who says the same."""
    session = candidate.session
    if session.person and session.person != request.user:
        return False
    return _may_have(session, request) or _is_of_one_renamed(candidate.alignment)


def _is_of_one_renamed(alignment: Alignment) -> bool:
    """Whether a window shows a chat under another character's name: what the user says to one may be said to another
    too, so that most of the replies are the same."""
    replies = [
        i is not None for row, i in zip(alignment.window, alignment.rows, strict=True) if row.role != "user"
    ]
    return alignment.matched >= SHARED_BY_A_FORK and 2 * sum(replies) > len(replies)


def _may_have(session: Session, request: Request) -> bool:
    """Whether a session is of those who speak in a request, as far as it shows or its chat's id tells."""
    whose = request.whose
    if session.is_group:
        return whose.is_group or request.shows_group
    if whose.is_group or request.is_group:
        return False
    if whose.told:
        has_id = bool(request.chat_id) and session.chat_id == request.chat_id
        return whose.may_have(session) and not (has_id and whose.is_first_of(session))
    return request.shows_group or Whose(request.character).may_have(session)


def _may_be_of(line: Session, named: Session, whose: Whose) -> bool:
    """Whether a line may have the id of a session of its tree: it has it, or one of both was left and the line has
    none."""
    if line.session_id == named.session_id:
        return False
    has_id = line.chat_id == named.chat_id and whose.may_have(line)
    return has_id or (not line.chat_id and (line.left_behind or named.left_behind))
