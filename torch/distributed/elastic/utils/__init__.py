"""Small things that agents and launchers need."""

from __future__ import annotations

import os
import socket
from string import Template

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["get_env_variable_or_raise", "get_socket_with_port", "macros"]


def get_env_variable_or_raise(env_name: str) -> str:
    """The value of an environment variable; ValueError if it is not set."""
    value = os.environ.get(env_name)
    if value is None:
        raise ValueError(f"Environment variable {env_name} expected, but not set")
    return value


def get_socket_with_port() -> socket.socket:
    """A socket bound to a free port of this machine."""
    return socket.create_server(("localhost", 0))


class macros:  # noqa: N801
    """Text in a worker's arguments that is replaced by what only the agent knows."""

    local_rank = "${local_rank}"

    @staticmethod
    def substitute(args: list[Any], local_rank: str) -> list[Any]:
        """The arguments with each ``${local_rank}`` replaced."""
        return [
            Template(arg).safe_substitute(local_rank=local_rank) if isinstance(arg, str) else arg for arg in args
        ]
