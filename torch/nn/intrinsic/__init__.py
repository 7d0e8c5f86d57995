"""The old place of ``torch.ao.nn.intrinsic``."""

from torch.ao.nn._reexport import reexport as _reexport

_reexport(
    globals(),
    "torch.ao.nn.intrinsic",
    """
    modules modules.fused qat qat.modules qat.modules.conv_fused qat.modules.linear_fused qat.modules.linear_relu
    quantized quantized.modules quantized.modules.bn_relu quantized.modules.conv_relu quantized.modules.linear_relu
    quantized.dynamic quantized.dynamic.modules quantized.dynamic.modules.linear_relu
    """,
    """
    ConvBn1d ConvBn2d ConvBn3d ConvBnReLU1d ConvBnReLU2d ConvBnReLU3d ConvReLU1d ConvReLU2d ConvReLU3d LinearReLU
    BNReLU2d BNReLU3d LinearBn1d
    """.split(),
)
