"""Settings of ``torch.compile`` as a whole. Several are other names of ``torch._dynamo.config``'s."""

from __future__ import annotations

from torch.utils._config_module import install as _install

job_id: str | None = None
pgo_extra_read_key: str | None = None
pgo_extra_write_key: str | None = None
cache_key_tag: str = ""
force_disable_caches: bool = False
dynamic_sources: str = ""
dynamic_values: str = ""
unbacked_sources: str = ""
force_cudagraph_gc: bool = False

_SHARED = """
    dynamic_shapes assume_static_by_default automatic_dynamic_shapes recompile_limit accumulated_recompile_limit verbose
    capture_scalar_outputs capture_dynamic_output_shape_ops log_file_name fail_on_recompile_limit_hit
    allow_unspec_int_on_nn_module skip_tensor_guards_with_matching_dict_tags enable_cpp_symbolic_shape_guards
    wrap_top_frame reorderable_logging_functions
"""

_install(__name__, shared={"torch._dynamo.config": _SHARED.split()})
