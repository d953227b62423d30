"""The command line: `emotional-rag serve | chat | sessions | import | export | reindex`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from graph.errors import EmotionalRagError
from server.version import VERSION


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; what the user can put right is one line on stderr and exit code 2."""
    args = _parser().parse_args(argv)
    try:
        return _run(args)
    except EmotionalRagError as error:
        print(f"emotional-rag: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _run(args: argparse.Namespace) -> int:
    """Commands are imported when they are wanted: `--help` need not load the models' libraries."""
    if args.command == "serve":
        from server.cli.serve import serve

        return serve()
    if args.command == "chat":
        from server.cli.chat import chat

        return chat(args.card, args.name, args.session)
    if args.command == "import":
        from server.cli.transfer import import_paths

        return import_paths(args.paths)
    if args.command == "export":
        from server.cli.export import export_sessions

        return export_sessions(args.ids, args.all, args.output)
    if args.command == "reindex":
        from server.cli.reindex import reindex

        return reindex()
    if args.command == "extension":
        from server.cli.extension import extension

        return extension(args.sillytavern)
    from server.cli.sessions import sessions

    return sessions(args.action, args.id)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="emotional-rag",
        description="Gives role-play characters a memory, behind an OpenAI-compatible API.",
        epilog="Settings come from the environment and .env; .env.example lists them.",
    )
    parser.add_argument("--version", action="version", version=f"emotional-rag {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("serve", help="run the server")
    chat = commands.add_parser("chat", help="talk to a character here, in the terminal")
    chat.add_argument("--card", type=Path, metavar="FILE", help="character card, JSON or PNG (V2, V3)")
    chat.add_argument("--name", default="User", metavar="USER", help="what the character calls you")
    chat.add_argument("--session", metavar="ID", help="go on with this chat, or begin one of this name")
    taken = commands.add_parser(
        "import", help="take in chats, cards and lorebooks of SillyTavern, or exports"
    )
    taken.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="file, or SillyTavern user folder")
    given = commands.add_parser("export", help="write chats with everything about them to a file")
    given.add_argument("ids", nargs="*", metavar="SESSION", help="session id or chat id")
    given.add_argument("--all", action="store_true", help="every chat")
    given.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="where to (JSON lines)"
    )
    commands.add_parser("reindex", help="rebuild everything derived from the chats")
    extension = commands.add_parser("extension", help="copy our extension into a SillyTavern")
    extension.add_argument(
        "sillytavern", type=Path, metavar="FOLDER", help="its folder, or a user's data folder"
    )
    sessions = commands.add_parser("sessions", help="list, show or delete chats")
    sessions.set_defaults(action="list", id="")
    actions = sessions.add_subparsers(dest="action", metavar="ACTION")
    actions.add_parser("list", help="every chat, the most recent first")
    for action, meaning in (("show", "print a chat"), ("delete", "remove a chat from memory")):
        one = actions.add_parser(action, help=meaning)
        one.add_argument("id", metavar="ID", help="session id or chat id")
    return parser
