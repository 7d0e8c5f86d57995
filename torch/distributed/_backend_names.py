"""Backends by name, and which one serves which device."""

from __future__ import annotations

import warnings

from ._backends import BackendType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NamedTuple

    class _BackendPlugin(NamedTuple):
        creator_fn: Callable[..., Any]
        extended_api: bool

else:
    from collections import namedtuple

    _BackendPlugin = namedtuple("_BackendPlugin", "creator_fn extended_api")

__all__ = ["Backend", "BackendConfig"]


class Backend(str):
    """The name of a backend, in lower case; ``Backend.GLOO`` and its like are the known ones.

    >>> torch.distributed.Backend("GLOO")
    'gloo'
    """

    UNDEFINED = "undefined"
    GLOO = "gloo"
    NCCL = "nccl"
    UCC = "ucc"
    MPI = "mpi"
    XCCL = "xccl"
    FAKE = "fake"

    _BackendPlugin = _BackendPlugin
    _plugins: dict[str, _BackendPlugin] = {}
    backend_list = ["undefined", "gloo", "nccl", "xccl", "ucc", "mpi", "fake"]
    default_device_backend_map = {"cpu": "gloo", "cuda": "nccl", "xpu": "xccl", "mps": "gloo"}
    backend_capability = {
        "gloo": ["cpu", "cuda"],
        "nccl": ["cuda"],
        "xccl": ["xpu"],
        "ucc": ["cpu", "cuda"],
        "mpi": ["cpu", "cuda"],
        "fake": ["cpu", "cuda", "hpu", "xpu"],
    }
    backend_type_map = {
        "undefined": BackendType.UNDEFINED,
        "gloo": BackendType.GLOO,
        "nccl": BackendType.NCCL,
        "xccl": BackendType.XCCL,
        "ucc": BackendType.UCC,
        "mpi": BackendType.MPI,
        "fake": BackendType.CUSTOM,
    }

    def __new__(cls, name: str) -> Backend:
        if not isinstance(name, str):
            raise ValueError(f"Backend constructor parameter must be string-ish, got {name!r}")
        value = getattr(Backend, name.upper(), Backend.UNDEFINED)
        if value == Backend.UNDEFINED:
            value = name.lower()
        return super().__new__(cls, value)

    @classmethod
    def register_backend(
        cls,
        name: str,
        func: Callable[..., Any],
        extended_api: bool = False,
        devices: str | list[str] | None = None,
        allow_override: bool = False,
    ) -> None:
        """Make a backend known: ``func(store, rank, size, timeout)`` returns the process group that does its work.

        With ``extended_api`` it is called with an object that has ``store``, ``group_rank``, ``group_size``,
        ``timeout``, ``group_id`` and ``global_ranks_in_group``, and with the options.

        Raises:
            AssertionError: the name is taken.
        """
        upper = name.upper()
        if not allow_override:
            assert not hasattr(Backend, upper), f"{upper} c10d backend already exist"
            assert upper not in Backend._plugins, f"{upper} c10d backend creator function already exist"
        setattr(Backend, upper, name.lower())
        if name.lower() not in Backend.backend_list:
            Backend.backend_list.append(name.lower())
        if devices is None:
            warnings.warn(
                f"Device capability of {name} unspecified, assuming `cpu` and `cuda`. Please specify it via the "
                "`devices` argument of `register_backend`.",
                stacklevel=2,
            )
            kinds = ["cpu", "cuda"]
        else:
            kinds = [devices] if isinstance(devices, str) else list(devices)
            for kind in kinds:
                if kind not in Backend.default_device_backend_map:
                    Backend.default_device_backend_map[kind] = name.lower()
        Backend.backend_capability[name.lower()] = kinds
        Backend.backend_type_map.setdefault(name.lower(), BackendType.CUSTOM)
        Backend._plugins[upper] = Backend._BackendPlugin(func, extended_api)


Backend.__module__ = "torch.distributed.distributed_c10d"


class BackendConfig:
    """Which backend serves which device: of ``"gloo"``, or of ``"cpu:gloo,cuda:nccl"``."""

    def __init__(self, backend: Backend) -> None:
        self.device_backend_map: dict[str, Backend] = {}
        text = str(backend)
        if text == Backend.UNDEFINED:
            # Only what this build has a backend for.
            self.device_backend_map["cpu"] = Backend(Backend.default_device_backend_map["cpu"])
        elif text.lower() in Backend.backend_list:
            for kind in Backend.backend_capability[text.lower()]:
                self.device_backend_map[kind] = Backend(text)
        elif ":" in text:
            for pair in text.lower().split(","):
                parts = pair.split(":")
                if len(parts) != 2:
                    raise ValueError(
                        f"Invalid device:backend pairing: {pair}. The custom backend string argument is invalid: "
                        f"{text}. It has to be of the form '<device_type1>:<backend1>,<device_type2>:<backend2>...', "
                        "for instance 'cpu:gloo,cuda:nccl'"
                    )
                kind, name = parts
                if kind in self.device_backend_map:
                    raise ValueError(f"Duplicate device type {kind} in backend string: {text}.")
                self.device_backend_map[kind] = Backend(name)
        else:
            warnings.warn(
                f"Device capability of {text} unknown, assuming `cpu` and `cuda`. You can specify it in "
                "`device:backend` format in `init_process_group` call.",
                stacklevel=2,
            )
            self.device_backend_map = {"cpu": Backend(text), "cuda": Backend(text)}

    def __repr__(self) -> str:
        return ",".join(f"{kind}:{name}" for kind, name in self.device_backend_map.items())

    def get_device_backend_map(self) -> dict[str, Backend]:
        """Devices and their backends."""
        return self.device_backend_map


BackendConfig.__module__ = "torch.distributed.distributed_c10d"
