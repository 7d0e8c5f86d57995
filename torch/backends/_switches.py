"""Backends of which there is nothing but the switches: programs may set them, and read back what they set."""

from __future__ import annotations

import contextlib
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def is_available() -> bool:
    """Always False: the library is not used."""
    return False


def is_built() -> bool:
    """Always False: the library is not used."""
    return False


class Switches(types.ModuleType):
    """A module whose attributes are the switches, with ``flags`` to set some for a block."""

    def __init__(self, name: str, **members: Any) -> None:
        super().__init__(f"torch.backends.{name}", f"Switches of ``torch.backends.{name}``; the library is not used.")
        self.__dict__.update(is_available=is_available, **members)

    @contextlib.contextmanager
    def flags(self, **changes: Any) -> Iterator[None]:
        """Set switches until the end of the block."""
        before = {name: getattr(self, name, None) for name in changes}
        self.__dict__.update(changes)
        try:
            yield
        finally:
            self.__dict__.update(before)

    def set_flags(self, **changes: Any) -> tuple[Any, ...]:
        """Set switches and return what they were."""
        before = tuple(getattr(self, name, None) for name in changes)
        self.__dict__.update(changes)
        return before

    @property
    def m(self) -> Switches:
        """The module itself."""
        return self


def version() -> None:
    """None: the library is not used."""


def _precision(**members: Any) -> types.SimpleNamespace:
    return types.SimpleNamespace(fp32_precision="none", **members)


MODULES = {
    "cudnn": Switches(
        "cudnn", enabled=True, benchmark=False, deterministic=False, allow_tf32=True, benchmark_limit=10,
        fp32_precision="none", version=version, conv=_precision(), rnn=_precision(),
    ),
    "cusparselt": Switches("cusparselt", version=version),
    "kleidiai": Switches("kleidiai"),
    "mha": Switches("mha", get_fastpath_enabled=lambda: False, set_fastpath_enabled=lambda value: None),
    "miopen": Switches("miopen", immediate=False),
    "mkldnn": Switches(
        "mkldnn", enabled=False, deterministic=False, allow_tf32=False, fp32_precision="none", matmul=_precision(),
        conv=_precision(), rnn=_precision(), VERBOSE_OFF=0, VERBOSE_ON=1, VERBOSE_ON_CREATION=2,
        is_acl_available=is_available,
    ),
    "mps": Switches("mps", is_built=is_built, is_macos_or_newer=lambda major, minor: False),
    "nnpack": Switches("nnpack", enabled=False),
    "python_native": Switches("python_native"),
    "quantized": Switches(
        "quantized", engine="x86", supported_engines=["qnnpack", "onednn", "x86", "fbgemm"],
    ),
}  # fmt: skip
