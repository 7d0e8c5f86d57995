"""Settings of ``torch.compile``'s front end. Their names and defaults are PyTorch's (``_settings.txt``).

``recompile_limit``, ``error_on_recompile``, ``suppress_errors`` and ``disable`` have an effect; the others are kept for
programs that set them.
"""

from __future__ import annotations

import os
from pathlib import Path

from torch.utils._config_module import install as _install

base_dir = str(Path(__file__).resolve().parent.parent.parent)
debug_dir_root = os.path.join(os.getcwd(), "torch_compile_debug")

_install(__name__, Path(__file__).with_name("_settings.txt"))
