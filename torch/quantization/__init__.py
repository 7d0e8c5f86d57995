"""The old place of ``torch.ao.quantization``."""

from torch.ao.nn._reexport import reexport as _reexport

_reexport(
    globals(),
    "torch.ao.quantization",
    """
    fake_quantize fuse_modules fuser_method_mappings observer qconfig quant_type quantization_mappings quantize
    quantize_jit stubs utils
    """,
)
