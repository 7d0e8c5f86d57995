"""Parts of the packages that writing for TensorBoard needs, loaded when they are first used."""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def needed(module: str) -> Any:
    """A module of a package that has to be installed; ModuleNotFoundError says how."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        install = {"PIL": "pillow"}.get(package, package)
        raise ModuleNotFoundError(
            f"No module named '{package}': torch.utils.tensorboard needs it, pip install {install}", name=package
        ) from None


def proto(name: str) -> Any:
    """``tensorboard.compat.proto.NAME_pb2``."""
    return needed(f"tensorboard.compat.proto.{name}_pb2")
