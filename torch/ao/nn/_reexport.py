"""The old places of these modules in ``torch.nn`` and ``torch``: the same objects under another path."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any


def reexport(namespace: dict[str, Any], source: str, submodules: str, names: Any = None) -> None:
    """Give a package the public names of another one, and its submodules.

    Args:
        namespace: the ``globals()`` of the package.
        source: the path of the other one.
        submodules: dotted paths below both, parents first.
        names: which names; the other one's ``__all__`` by default.
    """
    package, other = namespace["__name__"], import_module(source)
    names = other.__all__ if names is None else names
    for path in submodules.split():
        module = import_module(f"{source}.{path}")
        sys.modules[f"{package}.{path}"] = module
        if "." not in path:
            namespace[path] = module
    # last, since a function may have the name of its module
    namespace.update({name: getattr(other, name) for name in names}, __all__=list(names))
