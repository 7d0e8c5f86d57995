"""The process of each machine that starts the workers and watches over them."""

from __future__ import annotations

from . import server as server
