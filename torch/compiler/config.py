"""Settings of ``torch.compile``, accepted for programs that set them: compiled functions run as they are."""

from __future__ import annotations

job_id: str | None = None
cache_key_tag: str = ""
dynamic_sources: str = ""
unbacked_sources: str = ""
force_disable_caches: bool = False
