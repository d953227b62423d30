"""How fast chats are imported: `python -m benchmarks.transfer`.

Chats of SillyTavern are generated from a seed, sent to a real server on loopback as the command does, and
counted when the server says that they are stored durably. The embeddings that follow in the background are
timed on a sample of their own, and so is a second import of the same files, which must store nothing.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from benchmarks.figures import keep
from benchmarks.our_server import Bench, serving
from benchmarks.provider import Answer, running
from benchmarks.seeded_chats import text

SWIPES = 0.1
"""Share of the replies that were swiped once."""


def write_chats(folder: Path, messages: int, chats: int, seed: int) -> int:
    """Chat files of equal length; how many messages they hold, swipes not counted."""
    rng = random.Random(seed)
    folder.mkdir(parents=True)
    for number in range(chats):
        rows: list[dict[str, Any]] = [
            {"chat_metadata": {}, "user_name": "unused", "character_name": "unused"}
        ]
        for n in range(messages // chats):
            said = text(rng, 30)
            name = ("Mira", "Alex")[n % 2]
            row = {"name": name, "is_user": name == "Alex", "is_system": False, "mes": said, "extra": {}}
            row["send_date"] = 1_700_000_000_000 + 60_000 * n
            if name == "Mira" and rng.random() < SWIPES:
                row |= {"swipes": [text(rng, 30), said], "swipe_id": 1}
            rows.append(row)
        lines = "\n".join(json.dumps(row) for row in rows)
        (folder / f"chat-{number}.jsonl").write_text(lines)
    return messages // chats * chats


def send_all(bench: Bench, folder: Path) -> tuple[float, int, int]:
    """Seconds, messages read, messages and swipes stored."""
    read = stored = 0
    began = time.perf_counter()
    with httpx.Client(base_url=bench.url, timeout=None) as client:
        for file in sorted(folder.iterdir()):
            answer = client.post("/v1/import", params={"name": file.name}, content=file.read_bytes())
            report = answer.raise_for_status().json()
            read, stored = read + report["read"], stored + report["added"] + report["swipes"]
    return time.perf_counter() - began, read, stored


async def end_background(bench: Bench) -> None:
    """Stop the outbox's worker; what waits there stays."""
    await bench.resources.worker.close()


async def everything_embedded(bench: Bench) -> None:
    await bench.resources.worker.idle()


def store_only(folder: Path, messages: int, chats: int, seed: int) -> dict[str, float]:
    """Messages a second until stored, with nothing else running; then the same files again."""
    count = write_chats(folder / "chats", messages, chats, seed)
    with running(lambda body: Answer("")) as provider, serving(provider, folder / "data") as bench:
        bench.call(end_background(bench))
        seconds, read, stored = send_all(bench, folder / "chats")
        again, _, twice = send_all(bench, folder / "chats")
    assert read == count and twice == 0, (read, count, twice)
    return {
        "messages": read,
        "chats": chats,
        "stored_with_swipes": stored,
        "seconds": round(seconds, 2),
        "messages_per_s": round(read / seconds),
        "again_messages_per_s": round(read / again),
    }


def with_embedding(folder: Path, messages: int, chats: int, seed: int) -> dict[str, float]:
    """The same with the background's work at its side: until stored, and until everything is embedded."""
    write_chats(folder / "chats", messages, chats, seed)
    with running(lambda body: Answer("")) as provider, serving(provider, folder / "data") as bench:
        began = time.perf_counter()
        seconds, read, stored = send_all(bench, folder / "chats")
        bench.call(everything_embedded(bench))
        whole = time.perf_counter() - began
    return {
        "messages": read,
        "stored_with_swipes": stored,
        "store_messages_per_s": round(read / seconds),
        "embedded_per_s": round(stored / whole, 1),
    }


def main() -> None:
    """Measure, print, and write build/bench/transfer.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--chats", type=int, default=100)
    parser.add_argument("--sample", type=int, default=2_000, help="messages that are embedded too")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--json", type=Path, default=Path("build/bench/transfer.json"))
    options = parser.parse_args()
    figures: dict[str, Any] = {"unit": "messages of 30 words, from sending the file to its durable storing"}
    for name, chats in (("many_chats", options.chats), ("one_chat", 1)):
        with tempfile.TemporaryDirectory() as folder:
            figures[name] = store_only(Path(folder), options.messages, chats, options.seed)
    with tempfile.TemporaryDirectory() as folder:
        figures["with_embedding"] = with_embedding(Path(folder), options.sample, 10, options.seed + 1)
    keep(figures, options.json)
    Console().print_json(data=figures)


if __name__ == "__main__":
    main()
