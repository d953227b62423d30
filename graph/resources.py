"""Resources: the live objects the nodes need; opened and closed in one place, once a process."""

from __future__ import annotations
