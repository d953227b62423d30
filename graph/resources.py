"""Resources: the live objects the nodes need; opened and closed in one place, once a process."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from graph.checkpoints import open_checkpointer
from graph.settings import Settings
from graph.stops import Stops
from memory.assigned import AssignedTurns
from memory.catalog import Catalog
from memory.derive import Derive
from memory.files import FolderLock
from memory.library import Library
from memory.sessions import Sessions
from memory.summaries import Summariser
from memory.token_codes import TokenCodes
from memory.token_codes_sqlite import SqliteTokenCodes
from memory.transcript import Transcript
from memory.transcript_sqlite import SqliteTranscript
from memory.vectors import VectorIndex
from memory.vectors_open import open_vectors
from memory.worker import Worker
from memory.working import RamWorkingMemory, WorkingMemory
from models.chat import ChatModel, open_chat
from models.embedding import Embedder, open_embedder
from models.emotion import EmotionDetector, open_emotion
from models.reranker import Reranker, open_reranker
from models.token_codes import TokenCodec
from models.tokens import TokenCounter, open_counter

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resources:
    """Everything alive that a turn needs; nodes take the parts they name."""

    settings: Settings
    lock: FolderLock
    catalog: Catalog
    library: Library
    transcript: Transcript
    sessions: Sessions
    working: WorkingMemory
    vectors: VectorIndex
    codes: TokenCodes
    codec: TokenCodec
    embedder: Embedder
    emotion: EmotionDetector
    reranker: Reranker | None
    chat: ChatModel
    counter: TokenCounter
    checkpointer: AsyncSqliteSaver
    worker: Worker
    stops: Stops
    assigned: AssignedTurns


@asynccontextmanager
async def open_resources(
    settings: Settings, clock: Callable[[], float] = time.time
) -> AsyncIterator[Resources]:
    """Open everything in order and close it in reverse.

    Raises DataFolderBusy when another process holds the data folder, SettingsError when a setting names
    what cannot be loaded. `clock` dates what is stored, in Unix seconds.
    """
    async with AsyncExitStack() as stack:
        root = settings.db_path
        lock = await asyncio.to_thread(FolderLock, root)
        stack.callback(lock.release)
        embedder, chat = await asyncio.gather(open_embedder(settings), open_chat(settings))
        stack.push_async_callback(embedder.close)
        stack.push_async_callback(chat.close)
        reranker = await open_reranker(settings)
        if reranker is not None:
            stack.push_async_callback(reranker.close)
        catalog = await asyncio.to_thread(Catalog.open, root)
        stack.callback(catalog.close)
        library = await asyncio.to_thread(Library, root, catalog.whose_chats)
        stack.callback(library.close)
        transcript = await SqliteTranscript.open(root, catalog, clock=clock)
        stack.push_async_callback(transcript.close)
        vectors = await open_vectors(settings, root, embedder.weights_hash, embedder.dimension)
        stack.push_async_callback(vectors.close)
        codec = TokenCodec.open(embedder.weights_hash, embedder.token_dimension)
        codes = SqliteTokenCodes(root, codec.key)
        stack.push_async_callback(codes.close)
        emotion = await open_emotion(settings)
        derive = Derive(transcript, vectors, codes, embedder, codec, emotion)
        worker = Worker(transcript, derive, Summariser(transcript, chat, settings.summary_words))
        worker.start()
        log.info("data folder opened: %s", root)
        stack.push_async_callback(worker.close)
        yield Resources(
            settings=settings,
            lock=lock,
            catalog=catalog,
            library=library,
            transcript=transcript,
            sessions=Sessions(transcript, catalog),
            working=RamWorkingMemory(settings.max_working_memory_size),
            vectors=vectors,
            codes=codes,
            codec=codec,
            embedder=embedder,
            emotion=emotion,
            reranker=reranker,
            chat=chat,
            counter=await open_counter(settings, chat),
            checkpointer=await stack.enter_async_context(open_checkpointer(root / "checkpoints.sqlite")),
            worker=worker,
            stops=Stops(),
            assigned=AssignedTurns(),
        )
