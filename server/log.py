"""What is logged, and how it looks."""

from __future__ import annotations

import logging


def configure_logging(level: str, *, interactive: bool = False) -> None:
    """Our own lines at `level`; libraries speak up from warnings on, unless at `debug`.

    `interactive`: a person reads the output, who need not see `info`.
    """
    level = "warning" if interactive and level == "info" else level
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    names = ("graph", "nodes", "memory", "models", "server")
    for name in (*names, "uvicorn") if level == "debug" else names:
        logging.getLogger(name).setLevel(level.upper())
