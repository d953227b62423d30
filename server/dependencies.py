"""What endpoints are given: the process's resources and turns, and the ids in their addresses."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request
from starlette.convertors import Convertor, register_url_convertor

from graph.resources import Resources
from server.chat.serving import Turns
from server.owner import OWNER as OWNER


class _Name(Convertor[str]):
    """`{id:name}`: any text. The usual `path` stops at a line break, which a chat's id may hold."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("name", _Name())


def _resources(request: Request) -> Resources:
    return cast(Resources, request.app.state.resources)


def _turns(request: Request) -> Turns:
    return cast(Turns, request.app.state.turns)


OurResources = Annotated[Resources, Depends(_resources)]
OurTurns = Annotated[Turns, Depends(_turns)]
