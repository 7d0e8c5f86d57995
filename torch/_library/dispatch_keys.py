"""The names of PyTorch's dispatch keys, as ``Library.impl`` takes them."""

from __future__ import annotations

__all__ = ["check_key"]

_BACKENDS = (
    "CPU CUDA HIP XLA MPS IPU XPU HPU VE Lazy MTIA MAIA PrivateUse1 PrivateUse2 PrivateUse3 Meta FPGA Vulkan Metal"
).split()
_KINDS = ("", "Quantized", "Sparse", "SparseCsr", "NestedTensor", "Autograd", "Autocast")
_OTHERS = frozenset(
    """
    ADInplaceOrView Autograd AutogradFunctionality AutogradNestedTensor AutogradOther BackendSelect Batched
    CompositeExplicitAutograd CompositeExplicitAutogradNonFunctional CompositeImplicitAutograd
    CompositeImplicitAutogradNestedTensor Conjugate CustomRNGKeyId Dense FuncTorchBatched FuncTorchBatchedDecomposition
    FuncTorchDynamicLayerBackMode FuncTorchDynamicLayerFrontMode FuncTorchGradWrapper FuncTorchVmapMode
    Functionalize MkldnnCPU Named Negative NestedTensor PreDispatch Python PythonDispatcher PythonTLSSnapshot
    Quantized Sparse SparseCsr TESTING_ONLY_GenericMode TESTING_ONLY_GenericWrapper Tracer Undefined VmapMode
    ZeroTensor
    """.split()
)


def check_key(key: str) -> None:
    """RuntimeError unless there is such a dispatch key."""
    known = key in _OTHERS or any(key == kind + backend for kind in _KINDS for backend in _BACKENDS)
    if not known:
        raise RuntimeError(f"could not parse dispatch key: {key}")
