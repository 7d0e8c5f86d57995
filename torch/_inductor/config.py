"""Settings of the usual backend. Their names and defaults are PyTorch's (``_settings.txt``); none changes results."""

from __future__ import annotations

import os
from pathlib import Path

from torch.utils._config_module import install as _install

worker_log_path: str | None = None
compile_threads = min(32, os.cpu_count() or 1)

_install(__name__, Path(__file__).with_name("_settings.txt"))
