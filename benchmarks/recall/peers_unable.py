"""Peers that were tried and cannot be measured, each with what happened."""

UNABLE: list[dict[str, str]] = []
