"""What endpoints are given: the process's resources and its turns."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request

from graph.resources import Resources
from server.chat.serving import Turns
from server.owner import OWNER as OWNER


def _resources(request: Request) -> Resources:
    return cast(Resources, request.app.state.resources)


def _turns(request: Request) -> Turns:
    return cast(Turns, request.app.state.turns)


OurResources = Annotated[Resources, Depends(_resources)]
OurTurns = Annotated[Turns, Depends(_turns)]
