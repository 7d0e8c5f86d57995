"""Nestings of ``torch.utils._pytree`` as JSON text, and as text to look at."""

from __future__ import annotations

import json
import sys
import warnings
from enum import Enum
from typing import Any

from . import _pytree
from ._pytree_nodes import SERIALIZED_TYPE_TO_PYTHON_TYPE, SUPPORTED_SERIALIZED_TYPES

DEFAULT_TREESPEC_SERIALIZATION_PROTOCOL = 1
_PROTOCOLS = [DEFAULT_TREESPEC_SERIALIZATION_PROTOCOL]


class EnumEncoder(json.JSONEncoder):
    """Writes members of enumerations by module, class and name."""

    def default(self, o: Any) -> Any:
        if isinstance(o, Enum):
            return {"__enum__": True, "fqn": f"{type(o).__module__}:{type(o).__qualname__}", "name": o.name}
        return super().default(o)


def enum_object_hook(obj: dict[str, Any]) -> Any:
    """The member that ``EnumEncoder`` wrote, or the dict itself.

    Only enumerations of modules that are loaded are found: a text must not have the program import what it names.
    """
    if "__enum__" not in obj:
        return obj
    module, _, name = obj["fqn"].partition(":")
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if not (isinstance(found, type) and issubclass(found, Enum)):
        raise NotImplementedError(f"Deserializing {obj['fqn']} in pytree: no such enumeration is loaded.")
    return found[obj["name"]]


def _check_protocol(protocol: Any) -> None:
    if protocol not in _PROTOCOLS:
        raise ValueError(f"Unknown protocol {protocol}. Available protocols: {_PROTOCOLS}")


def _to_json(spec: Any) -> dict[str, Any]:
    if spec.is_leaf():
        return {"type": None, "context": None, "children_spec": []}
    known = SUPPORTED_SERIALIZED_TYPES.get(spec.type)
    if known is None:
        raise NotImplementedError(f"Serializing {spec.type} in pytree is not registered.")
    if known.name is None:
        raise NotImplementedError(
            f"No registered serialization name for {spec.type} found. Please update your "
            "_register_pytree_node call with "
            "a `serialized_type_name` kwarg."
        )
    if known.to_dumpable is None:
        try:
            context = json.dumps(spec.context, cls=EnumEncoder)
        except TypeError as error:
            raise TypeError(
                "Unable to serialize context. Please make the context json dump-able, or register a custom serializer "
                "using _register_pytree_node."
            ) from error
    else:
        context = known.to_dumpable(spec.context)
    return {
        "type": known.name,
        "context": context,
        "children_spec": [_to_json(child) for child in spec.children_specs],
    }


def _from_json(schema: dict[str, Any]) -> Any:
    name = schema["type"]
    if name is None and schema["context"] is None and not schema["children_spec"]:
        return _pytree._LEAF_SPEC
    if name not in SERIALIZED_TYPE_TO_PYTHON_TYPE:
        raise NotImplementedError(f"Deserializing {name} in pytree is not registered.")
    kind = SERIALIZED_TYPE_TO_PYTHON_TYPE[name]
    load = SUPPORTED_SERIALIZED_TYPES[kind].from_dumpable
    text = schema["context"]
    context = json.loads(text, object_hook=enum_object_hook) if load is None else load(text)
    return _pytree.TreeSpec(kind, context, [_from_json(child) for child in schema["children_spec"]])


def treespec_dumps(treespec: Any, protocol: int | None = None) -> str:
    """A nesting as JSON text, which ``treespec_loads`` reads. NotImplementedError for types registered without a
    ``serialized_type_name``.

    >>> from torch.utils import _pytree as pytree
    >>> spec = pytree.tree_structure({"a": [1, 2]})
    >>> pytree.treespec_loads(pytree.treespec_dumps(spec)) == spec
    True
    """
    _pytree._check_spec(treespec)
    protocol = DEFAULT_TREESPEC_SERIALIZATION_PROTOCOL if protocol is None else protocol
    _check_protocol(protocol)
    return json.dumps((protocol, _to_json(treespec)), cls=EnumEncoder)


def treespec_loads(serialized: str) -> Any:
    """The nesting that ``treespec_dumps`` wrote."""
    protocol, schema = json.loads(serialized)
    _check_protocol(protocol)
    return _from_json(schema)


def pytree_to_str(treespec: Any) -> str:
    """The old name of ``treespec_dumps``."""
    warnings.warn("`pytree_to_str` is deprecated. Please use `treespec_dumps` instead.", FutureWarning, stacklevel=2)
    return treespec_dumps(treespec)


def str_to_pytree(json: str) -> Any:
    """The old name of ``treespec_loads``."""
    warnings.warn("`str_to_pytree` is deprecated. Please use `treespec_loads` instead.", FutureWarning, stacklevel=2)
    return treespec_loads(json)


class _Star:
    def __repr__(self) -> str:
        return "*"


def treespec_pprint(treespec: Any) -> str:
    """The nesting as the value it is of, with a star for each leaf."""
    return repr(_pytree._check_spec(treespec).unflatten([_Star() for _ in range(treespec.num_leaves)]))
