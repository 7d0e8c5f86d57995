"""The dispatch keys' names, sets of them, and the one thing that leaving keys out can mean here: no autocast."""

from __future__ import annotations

from enum import Enum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_SINGLE = """
    Undefined CompositeExplicitAutogradNonFunctional CompositeExplicitAutograd CompositeImplicitAutogradNestedTensor
    CompositeImplicitAutograd AutogradNestedTensor AutogradOther Autograd Conjugate ZeroTensor Negative BackendSelect
    ADInplaceOrView PythonTLSSnapshot Python FuncTorchDynamicLayerFrontMode FuncTorchDynamicLayerBackMode
    FuncTorchBatchedDecomposition FuncTorchBatched FuncTorchVmapMode FuncTorchGradWrapper PythonDispatcher PreDispatch
    Functionalize AutocastCPU AutocastMPS AutocastXPU AutocastHPU AutocastIPU AutocastCUDA AutocastPrivateUse1
""".split()
_BACKENDS = """
    CPU CUDA HIP XLA MPS IPU XPU HPU VE Lazy MTIA MAIA PrivateUse1 PrivateUse2 PrivateUse3 Meta
""".split()
# The name of a kind of tensor, and how it begins the names of its backends.
_KINDS = (
    ("Dense", ""), ("Quantized", "Quantized"), ("Sparse", "Sparse"), ("SparseCsr", "SparseCsr"),
    ("NestedTensor", "NestedTensor"), ("AutogradFunctionality", "Autograd"),
)  # fmt: skip


def _names() -> list[str]:
    names = list(_SINGLE)
    for kind, prefix in _KINDS:
        names += [kind, f"StartOf{kind}Backends", *(prefix + backend for backend in _BACKENDS), f"EndOf{kind}Backends"]
    return names


DispatchKey = Enum("DispatchKey", {name: number for number, name in enumerate(_names())}, module="torch")


class DispatchKeySet:
    """A set of dispatch keys.

    >>> import torch
    >>> keys = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastCPU)
    >>> keys.has(torch._C.DispatchKey.AutocastCPU), keys.has(torch._C.DispatchKey.CPU)
    (True, False)
    """

    __module__ = "torch"

    def __init__(self, key: Any) -> None:
        self._keys = frozenset([key]) if isinstance(key, DispatchKey) else frozenset(key)

    @staticmethod
    def from_keys(keys: Iterable[Any]) -> DispatchKeySet:
        return DispatchKeySet(keys)

    def has(self, key: Any) -> bool:
        return key in self._keys

    def add(self, key: Any) -> DispatchKeySet:
        return DispatchKeySet(self._keys | {key})

    def remove(self, key: Any) -> DispatchKeySet:
        return DispatchKeySet(self._keys - {key})

    def __or__(self, other: DispatchKeySet) -> DispatchKeySet:
        return DispatchKeySet(self._keys | other._keys)

    def __and__(self, other: DispatchKeySet) -> DispatchKeySet:
        return DispatchKeySet(self._keys & other._keys)

    def __sub__(self, other: DispatchKeySet) -> DispatchKeySet:
        return DispatchKeySet(self._keys - other._keys)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DispatchKeySet) and self._keys == other._keys

    def __hash__(self) -> int:
        return hash(self._keys)

    def __repr__(self) -> str:
        return f"DispatchKeySet({', '.join(key.name for key in sorted(self._keys, key=lambda key: key.value))})"


_AUTOCAST = {"AutocastCPU": "cpu", "AutocastCUDA": "cuda", "AutocastXPU": "xpu", "AutocastMPS": "mps"}


class _ExcludeDispatchKeyGuard:
    """Inside the block calls pass the given keys by; here those of autocast.

    Raises:
        NotImplementedError: a key of another layer, which calls cannot pass by.
    """

    def __init__(self, keys: DispatchKeySet) -> None:
        import torch

        others = [key.name for key in keys._keys if key.name not in _AUTOCAST]
        if others:
            raise NotImplementedError(f"only autocast can be left out here, not {', '.join(sorted(others))}")
        devices = sorted(_AUTOCAST[key.name] for key in keys._keys)
        self._blocks = [torch.autocast(device, enabled=False) for device in devices]

    def __enter__(self) -> None:
        for block in self._blocks:
            block.__enter__()

    def __exit__(self, *exc: Any) -> None:
        for block in reversed(self._blocks):
            block.__exit__(*exc)
