"""Which types are containers for ``torch.utils._pytree``, and how they come apart and go together again."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque, namedtuple
from typing import Any, NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# ---- one step of a path


class SequenceKey(NamedTuple):
    """An element of a sequence."""

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx!r}]"

    def get(self, sequence: Any) -> Any:
        return sequence[self.idx]


class MappingKey(NamedTuple):
    """A value of a mapping."""

    key: Any

    def __str__(self) -> str:
        return f"[{self.key!r}]"

    def get(self, mapping: Any) -> Any:
        return mapping[self.key]


class GetAttrKey(NamedTuple):
    """An attribute."""

    name: str

    def __str__(self) -> str:
        return f".{self.name}"

    def get(self, obj: Any) -> Any:
        return getattr(obj, self.name)


# ---- registered types


class NodeDef(NamedTuple):
    """How a type comes apart into children and context, and goes together again."""

    type: Any
    flatten_fn: Callable[[Any], tuple[list[Any], Any]]
    unflatten_fn: Callable[[Iterable[Any], Any], Any]
    flatten_with_keys_fn: Callable[[Any], tuple[list[tuple[Any, Any]], Any]] | None


class SerializedType(NamedTuple):
    """How a type is named, and its context written, where a nesting becomes text."""

    name: str | None
    to_dumpable: Callable[[Any], Any] | None
    from_dumpable: Callable[[Any], Any] | None


class ConstantNode(NamedTuple):
    """The context of a type without leaves."""

    value: Any


SUPPORTED_NODES: dict[Any, NodeDef] = {}
SUPPORTED_SERIALIZED_TYPES: dict[Any, SerializedType] = {}
SERIALIZED_TYPE_TO_PYTHON_TYPE: dict[str, Any] = {}
CONSTANT_NODES: set[type] = set()
BUILTIN_TYPES = frozenset({tuple, list, dict, namedtuple, OrderedDict, defaultdict, deque})
STANDARD_DICT_TYPES = frozenset({dict, OrderedDict, defaultdict})


def register_pytree_node(
    cls: Any,
    flatten_fn: Callable[[Any], tuple[list[Any], Any]],
    unflatten_fn: Callable[[Iterable[Any], Any], Any],
    *,
    serialized_type_name: str | None = None,
    to_dumpable_context: Callable[[Any], Any] | None = None,
    from_dumpable_context: Callable[[Any], Any] | None = None,
    flatten_with_keys_fn: Callable[[Any], tuple[list[tuple[Any, Any]], Any]] | None = None,
) -> None:
    """Let a class be a container: how it comes apart into children and context, and goes together again.

    ``flatten_with_keys_fn`` gives (key, child) pairs for the functions with paths, the other options say how a nesting
    becomes text. ValueError for a class that is registered already.

    >>> from torch.utils import _pytree as pytree
    >>> class Pair:
    ...     def __init__(self, a, b):
    ...         self.a, self.b = a, b
    >>> pytree.register_pytree_node(Pair, lambda p: ([p.a, p.b], None), lambda children, _: Pair(*children))
    >>> pytree.tree_leaves([Pair(1, (2, 3)), 4])
    [1, 2, 3, 4]
    """
    if cls in SUPPORTED_NODES:
        raise ValueError(f"{cls} is already registered as pytree node.")
    _private_register_pytree_node(
        cls,
        flatten_fn,
        unflatten_fn,
        serialized_type_name=serialized_type_name,
        to_dumpable_context=to_dumpable_context,
        from_dumpable_context=from_dumpable_context,
        flatten_with_keys_fn=flatten_with_keys_fn,
    )


def _private_register_pytree_node(
    cls: Any,
    flatten_fn: Any,
    unflatten_fn: Any,
    *,
    serialized_type_name: str | None = None,
    to_dumpable_context: Any = None,
    from_dumpable_context: Any = None,
    flatten_with_keys_fn: Any = None,
) -> None:
    if (to_dumpable_context is None) ^ (from_dumpable_context is None):
        raise ValueError(f"Both to_dumpable_context and from_dumpable_context for {cls} must be None or registered.")
    SUPPORTED_NODES[cls] = NodeDef(cls, flatten_fn, unflatten_fn, flatten_with_keys_fn)
    SUPPORTED_SERIALIZED_TYPES[cls] = SerializedType(serialized_type_name, to_dumpable_context, from_dumpable_context)
    if serialized_type_name is not None:
        SERIALIZED_TYPE_TO_PYTHON_TYPE[serialized_type_name] = cls


def _register_pytree_node(
    cls: Any, flatten_fn: Any, unflatten_fn: Any, to_str_fn: Any = None, maybe_from_str_fn: Any = None, **options: Any
) -> None:
    """The old name of ``register_pytree_node``."""
    import warnings

    warnings.warn(
        "`torch.utils._pytree._register_pytree_node` is deprecated. Please use "
        "`torch.utils._pytree.register_pytree_node` instead.",
        FutureWarning,
        stacklevel=2,
    )
    if to_str_fn is not None or maybe_from_str_fn is not None:
        warnings.warn("`to_str_fn` and `maybe_from_str_fn` is deprecated.", FutureWarning, stacklevel=2)
    _private_register_pytree_node(cls, flatten_fn, unflatten_fn, **options)


def _deregister_pytree_node(cls: Any) -> None:
    """Undo a registration."""
    del SUPPORTED_NODES[cls]
    name = SUPPORTED_SERIALIZED_TYPES.pop(cls).name
    if name is not None:
        SERIALIZED_TYPE_TO_PYTHON_TYPE.pop(name, None)
    CONSTANT_NODES.discard(cls)


def register_dataclass(
    cls: Any,
    *,
    field_names: list[str] | None = None,
    drop_field_names: list[str] | None = None,
    serialized_type_name: str | None = None,
) -> None:
    """Let a dataclass be a container of its fields; those in ``drop_field_names`` take their defaults again.

    For another class ``field_names`` lists what its constructor takes.
    """
    import dataclasses

    dropped = drop_field_names or []
    if field_names is not None:
        names = list(field_names)
    elif dataclasses.is_dataclass(cls):
        names = [f.name for f in dataclasses.fields(cls) if f.init and f.name not in dropped]
    else:
        raise ValueError(
            f"field_names must be specified with a list of all fields used to initialize {cls}, as it is not "
            "a dataclass."
        )
    if dataclasses.is_dataclass(cls):
        expected = {f.name for f in dataclasses.fields(cls) if f.init}
        if expected != set(names) | set(dropped):
            raise ValueError(
                f"field_names of {cls} must be its fields: missing {sorted(expected - set(names) - set(dropped))}, "
                f"unexpected {sorted(set(names) - expected)}"
            )

    def split(value: Any) -> tuple[list[str], list[str]]:
        # fields that hold None are no children: None would be a leaf
        return (
            [name for name in names if getattr(value, name) is not None],
            [name for name in names if getattr(value, name) is None],
        )

    def flatten(value: Any) -> tuple[list[Any], Any]:
        present, absent = split(value)
        return [getattr(value, name) for name in present], [present, absent]

    def flatten_with_keys(value: Any) -> tuple[list[tuple[Any, Any]], Any]:
        present, absent = split(value)
        return [(GetAttrKey(name), getattr(value, name)) for name in present], [present, absent]

    def unflatten(children: Iterable[Any], context: Any) -> Any:
        present, absent = context
        return cls(**dict(zip(present, children, strict=True)), **dict.fromkeys(absent))

    _private_register_pytree_node(
        cls, flatten, unflatten, flatten_with_keys_fn=flatten_with_keys, serialized_type_name=serialized_type_name
    )


def register_constant(cls: type) -> None:
    """Let the values of a class be part of the nesting rather than leaves. They must have ``==`` and a hash."""
    if cls.__eq__ is object.__eq__:
        raise TypeError(
            f"register_constant(cls) expects `cls` to have a non-default `__eq__` implementation. Got {cls}"
        )
    if cls.__hash__ is None:
        raise TypeError(
            f"register_constant(cls) expects `cls` to have a non-default `__hash__` implementation. Got {cls}"
        )
    _private_register_pytree_node(
        cls,
        lambda value: ([], ConstantNode(value)),
        lambda _, context: context.value,
        flatten_with_keys_fn=lambda value: ([], ConstantNode(value)),
    )
    CONSTANT_NODES.add(cls)


def is_constant_class(cls: type) -> bool:
    return isinstance(cls, type) and cls in CONSTANT_NODES


def _retrieve_constant(spec: Any) -> Any:
    """The value in the nesting of a constant."""
    if not is_constant_class(spec.type):
        raise AssertionError(f"expected the nesting of a constant, got {spec}")
    return spec.context.value


def _register_namedtuple(cls: Any, *, serialized_type_name: str) -> None:
    """Give a namedtuple class the name by which nestings of it become text."""
    SUPPORTED_SERIALIZED_TYPES[cls] = SerializedType(serialized_type_name, None, None)
    SERIALIZED_TYPE_TO_PYTHON_TYPE[serialized_type_name] = cls


# ---- which type a value counts as


def is_namedtuple_class(cls: Any) -> bool:
    """Whether this is a class made by ``collections.namedtuple`` or ``typing.NamedTuple``, or one derived from it."""
    if not (isinstance(cls, type) and issubclass(cls, tuple)):
        return False
    fields = getattr(cls, "_fields", None)
    return (
        isinstance(fields, tuple)
        and all(isinstance(field, str) for field in fields)
        and callable(getattr(cls, "_make", None))
        and callable(getattr(cls, "_asdict", None))
    )


def is_namedtuple_instance(obj: object) -> bool:
    return is_namedtuple_class(type(obj))


def is_namedtuple(obj: object) -> bool:
    """Whether this is a namedtuple, or such a class."""
    return is_namedtuple_class(obj if isinstance(obj, type) else type(obj))


def is_structseq_class(cls: Any) -> bool:
    """Whether this is a class like ``torch.return_types.max`` or ``time.struct_time``."""
    return (
        isinstance(cls, type)
        and cls.__bases__ == (tuple,)
        and all(isinstance(getattr(cls, f"n_{which}fields", None), int) for which in ("", "sequence_", "unnamed_"))
    )


def is_structseq_instance(obj: object) -> bool:
    return is_structseq_class(type(obj))


def is_structseq(obj: object) -> bool:
    return is_structseq_class(obj if isinstance(obj, type) else type(obj))


def _get_node_type(tree: Any) -> Any:
    """The key of SUPPORTED_NODES that a value counts as: its type, or ``namedtuple``."""
    kind = type(tree)
    if kind in SUPPORTED_NODES:
        return kind
    if is_namedtuple_class(kind):
        return namedtuple
    if is_structseq_class(kind):
        _register_structseq(kind)
    return kind


def _register_structseq(cls: Any) -> None:
    _private_register_pytree_node(
        cls, _tuple_flatten, lambda children, _: cls(tuple(children)), flatten_with_keys_fn=_tuple_flatten_with_keys
    )


# ---- the builtin containers


def _tuple_flatten(d: Any) -> tuple[list[Any], Any]:
    return list(d), None


def _tuple_flatten_with_keys(d: Any) -> tuple[list[tuple[Any, Any]], Any]:
    return [(SequenceKey(i), value) for i, value in enumerate(d)], None


def _tuple_unflatten(values: Iterable[Any], context: Any) -> tuple[Any, ...]:
    return tuple(values)


_list_flatten, _list_flatten_with_keys = _tuple_flatten, _tuple_flatten_with_keys


def _list_unflatten(values: Iterable[Any], context: Any) -> list[Any]:
    return list(values)


def _dict_flatten(d: Any) -> tuple[list[Any], Any]:
    return list(d.values()), list(d)


def _dict_flatten_with_keys(d: Any) -> tuple[list[tuple[Any, Any]], Any]:
    return [(MappingKey(key), value) for key, value in d.items()], list(d)


def _dict_unflatten(values: Iterable[Any], context: Any) -> dict[Any, Any]:
    return dict(zip(context, values, strict=True))


_ordereddict_flatten, _ordereddict_flatten_with_keys = _dict_flatten, _dict_flatten_with_keys


def _ordereddict_unflatten(values: Iterable[Any], context: Any) -> OrderedDict[Any, Any]:
    return OrderedDict(zip(context, values, strict=True))


def _defaultdict_flatten(d: Any) -> tuple[list[Any], Any]:
    return list(d.values()), [d.default_factory, list(d)]


def _defaultdict_flatten_with_keys(d: Any) -> tuple[list[tuple[Any, Any]], Any]:
    return _dict_flatten_with_keys(d)[0], [d.default_factory, list(d)]


def _defaultdict_unflatten(values: Iterable[Any], context: Any) -> defaultdict[Any, Any]:
    return defaultdict(context[0], zip(context[1], values, strict=True))


def _deque_flatten(d: Any) -> tuple[list[Any], Any]:
    return list(d), d.maxlen


def _deque_flatten_with_keys(d: Any) -> tuple[list[tuple[Any, Any]], Any]:
    return _tuple_flatten_with_keys(d)[0], d.maxlen


def _deque_unflatten(values: Iterable[Any], context: Any) -> deque[Any]:
    return deque(values, maxlen=context)


def _namedtuple_flatten(d: Any) -> tuple[list[Any], Any]:
    return list(d), type(d)


def _namedtuple_flatten_with_keys(d: Any) -> tuple[list[tuple[Any, Any]], Any]:
    return [(GetAttrKey(name), value) for name, value in zip(d._fields, d, strict=True)], type(d)


def _namedtuple_unflatten(values: Iterable[Any], context: Any) -> Any:
    return context(*values)


def _namedtuple_dump(context: Any) -> str:
    known = SUPPORTED_SERIALIZED_TYPES.get(context)
    if known is None or known.name is None:
        raise NotImplementedError(
            f"Can't serialize TreeSpec of namedtuple class {context} because we didn't register a "
            "serializated_type_name. "
            "Please register using `_register_namedtuple`."
        )
    return known.name


def _factory_dump(context: Any) -> Any:
    factory, keys = context
    return {
        "default_factory_module": factory.__module__,
        "default_factory_name": factory.__qualname__,
        "dict_context": keys,
    }


def _factory_load(dumped: Any) -> Any:
    import importlib

    module = importlib.import_module(dumped["default_factory_module"])
    return [getattr(module, dumped["default_factory_name"]), dumped["dict_context"]]


_private_register_pytree_node(
    tuple, _tuple_flatten, _tuple_unflatten, flatten_with_keys_fn=_tuple_flatten_with_keys,
    serialized_type_name="builtins.tuple",
)  # fmt: skip
_private_register_pytree_node(
    list, _list_flatten, _list_unflatten, flatten_with_keys_fn=_list_flatten_with_keys,
    serialized_type_name="builtins.list",
)  # fmt: skip
_private_register_pytree_node(
    dict, _dict_flatten, _dict_unflatten, flatten_with_keys_fn=_dict_flatten_with_keys,
    serialized_type_name="builtins.dict",
)  # fmt: skip
_private_register_pytree_node(
    namedtuple, _namedtuple_flatten, _namedtuple_unflatten, flatten_with_keys_fn=_namedtuple_flatten_with_keys,
    serialized_type_name="collections.namedtuple", to_dumpable_context=_namedtuple_dump,
    from_dumpable_context=lambda name: SERIALIZED_TYPE_TO_PYTHON_TYPE[name],
)  # fmt: skip
_private_register_pytree_node(
    OrderedDict, _ordereddict_flatten, _ordereddict_unflatten, flatten_with_keys_fn=_ordereddict_flatten_with_keys,
    serialized_type_name="collections.OrderedDict",
)  # fmt: skip
_private_register_pytree_node(
    defaultdict, _defaultdict_flatten, _defaultdict_unflatten, flatten_with_keys_fn=_defaultdict_flatten_with_keys,
    serialized_type_name="collections.defaultdict", to_dumpable_context=_factory_dump,
    from_dumpable_context=_factory_load,
)  # fmt: skip
_private_register_pytree_node(
    deque, _deque_flatten, _deque_unflatten, flatten_with_keys_fn=_deque_flatten_with_keys,
    serialized_type_name="collections.deque",
)  # fmt: skip
