"""The extension as a git repository: SillyTavern installs and updates extensions from git addresses only."""

from __future__ import annotations

import shutil
import threading
from io import BytesIO
from pathlib import Path

from dulwich.errors import GitProtocolError, HangupException
from dulwich.objects import Blob, Commit, ShaFile, Tree
from dulwich.protocol import CAPABILITY_SIDE_BAND_64K, ReceivableProtocol
from dulwich.refs import Ref
from dulwich.repo import Repo
from dulwich.server import BackendRepo, DictBackend, UploadPackHandler

from graph.errors import BadRequest
from server.version import VERSION

SOURCE = Path(__file__).resolve().parents[1] / "sillytavern_extension"
FOLDER = "extension.git"
"""Its name in the data folder: what was installed from here once must be in the history of what comes later."""
BRANCH = Ref(b"refs/heads/main")
AUTHOR = b"Emotional RAG <>"
PLAIN_FILE = 0o100644
SERVICE = b"# service=git-upload-pack\n"
DEPTH = b"deepen "
NONE_SHALLOW = b"0000"
"""The end of the list of commits whose parents are not sent: an empty one."""


class _Sender(UploadPackHandler):
    """Serves clients that take no thin packs too, as the git that SillyTavern brings along; none is sent."""

    @classmethod
    def required_capabilities(cls) -> tuple[bytes, ...]:
        return (CAPABILITY_SIDE_BAND_64K,)


_opening = threading.Lock()


def advertisement(data: Path) -> bytes:
    """What a git client asks first: the branch, at a commit of the extension's files as they are now."""
    with _repository(data) as repository:
        with _opening:
            _commit(repository, SOURCE)
        return _answer(repository, b"", asked_first=True)


def pack(data: Path, request: bytes) -> bytes:
    """The objects that a client lacks; raises BadRequest where it does not speak git's protocol (version 0)."""
    with _repository(data) as repository:
        try:
            whole = _without_depth(request)
            shallow = b"" if whole == request else NONE_SHALLOW
            return shallow + _answer(repository, whole, asked_first=False)
        except (GitProtocolError, HangupException, ValueError) as error:
            raise BadRequest(f"This is no request of git's: {error}") from error


def _repository(data: Path) -> Repo:
    folder = data / FOLDER
    with _opening:
        if (folder / "HEAD").is_file():
            return Repo(str(folder))
        shutil.rmtree(folder, ignore_errors=True)
        return Repo.init_bare(str(folder), mkdir=True, default_branch=b"main")


def _commit(repository: Repo, source: Path) -> None:
    """Commit a folder's files unless they are what the branch holds; the same files make the same commit."""
    blobs = {path.name: Blob.from_string(path.read_bytes()) for path in sorted(source.iterdir())}
    tree = Tree()
    for name, blob in blobs.items():
        tree.add(name.encode(), PLAIN_FILE, blob.id)
    before = repository.refs[BRANCH] if BRANCH in repository.refs else None
    newest = repository.get_object(before) if before else None
    if isinstance(newest, Commit) and newest.tree == tree.id:
        return
    commit = Commit()
    commit.tree, commit.parents = tree.id, [before] if before else []
    commit.author = commit.committer = AUTHOR
    commit.author_time = commit.commit_time = 0
    commit.author_timezone = commit.commit_timezone = 0
    commit.message = f"The extension of Emotional RAG {VERSION}\n".encode()
    objects: list[ShaFile] = [*blobs.values(), tree, commit]
    repository.object_store.add_objects([(one, None) for one in objects])
    repository.refs[BRANCH] = commit.id


def _without_depth(request: bytes) -> bytes:
    """A request without its wish for the newest commits alone, as SillyTavern has.

    The history is a few versions long, and dulwich serves no updates of a clone that lacks part of it.
    """
    at = 0
    while (size := int(request[at : at + 4] or b"0", 16)) > 4:
        if request.startswith(DEPTH, at + 4):
            return request[:at] + request[at + size :]
        at += size
    return request


def _answer(repository: Repo, request: bytes, *, asked_first: bool) -> bytes:
    answer = BytesIO()
    protocol = ReceivableProtocol(BytesIO(request).read, answer.write)
    repositories: dict[str, BackendRepo] = {"/": repository}
    handler = _Sender(
        DictBackend(repositories), ["/"], protocol, stateless_rpc=True, advertise_refs=asked_first
    )
    if asked_first:
        protocol.write_pkt_line(SERVICE)
        protocol.write_pkt_line(None)
    handler.handle()
    return answer.getvalue()
