"""What the reader of checkpoints looks at before it calls an allowed function, sets attributes or hashes a key."""

from __future__ import annotations

import torch

from . import _utils
from ._checkpoint_globals import REBUILDERS, default_allowed, encode, fail, make_bytearray, parameter_class
from ._checkpoint_inert import InertGlobal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._weights_only_unpickler import Unpickler

    Guard = Callable[[Unpickler, tuple[Any, ...]], None]

# Names that would change what an object is, and those that hold functions which run later.
_REPLACING = frozenset({"__class__", "__dict__"})
_HOOKS = frozenset({"_backward_hooks", "_post_accumulate_grad_hooks"})

# CPython hashes nested tuples by recursion that nothing bounds.
_DEEPEST_KEY = 100
# Different keys of one hash make a dict quadratic. Text is hashed with a secret, and cannot be made to collide.
_MOST_COLLISIONS = 1000
_WIDEST_PLAIN = 1 << 63


def check_attributes(state: Any) -> None:
    """Raise UnpicklingError unless ``state`` is a dict of attributes, or a pair of such dicts or None."""
    for values in state if type(state) is tuple and len(state) == 2 else (state,):
        if values is None and state is not None:
            continue
        if not isinstance(values, dict):
            raise fail(f"attributes must be a dict, but got {type(values)}")
        for name, value in values.items():
            if type(name) is not str:
                raise fail(f"the name of an attribute must be text, but got {type(name)}")
            if name in _REPLACING or (name in _HOOKS and value):
                raise fail(f"a checkpoint cannot set {name}")


def _weigh(reader: Unpickler, key: tuple[Any, ...], depth: int) -> None:
    if depth > _DEEPEST_KEY:
        raise fail("a key of nested tuples is too deep")
    reader.charge(len(key) + 1)
    for item in key:
        if type(item) is tuple:
            _weigh(reader, item, depth + 1)


def check_keys(reader: Unpickler, keys: Any) -> None:
    """Raise UnpicklingError for keys whose hashing or comparing could be made to take for ever."""
    for key in keys:
        kind = type(key)
        if kind is str or kind is bytes or (kind is int and -_WIDEST_PLAIN <= key < _WIDEST_PLAIN):
            continue
        if kind is tuple:
            _weigh(reader, key, 0)
        value = hash(key)
        count = reader.hashes[value] = reader.hashes.get(value, 0) + 1
        if count > _MOST_COLLISIONS:
            raise fail("too many keys have the same hash")


def _guard_container(pairs: bool) -> Guard:
    def guard(reader: Unpickler, args: tuple[Any, ...]) -> None:
        if not args:
            return
        source = args[0]
        if len(args) > 1 or not isinstance(source, (list, tuple, dict, set, frozenset)):
            raise fail(f"a container cannot be made from {[type(arg).__name__ for arg in args]}")
        reader.charge(len(source))
        if pairs and not isinstance(source, dict):
            if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in source):
                raise fail("an OrderedDict must be made from pairs")
            source = [pair[0] for pair in source]
        check_keys(reader, source)

    return guard


def _guard_length(reader: Unpickler, args: tuple[Any, ...]) -> None:
    for arg in args:
        if isinstance(arg, (str, bytes, bytearray, list, tuple)):
            reader.charge(len(arg))


def _guard_hooks(index: int) -> Guard:
    def guard(reader: Unpickler, args: tuple[Any, ...]) -> None:
        if len(args) > index and args[index]:
            raise fail("a checkpoint cannot set hooks")

    return guard


def _guard_parameter_state(reader: Unpickler, args: tuple[Any, ...]) -> None:
    _guard_hooks(2)(reader, args)
    if len(args) > 3 and args[3] is not None:
        check_attributes(args[3])


def _guard_copy(reader: Unpickler, args: tuple[Any, ...]) -> None:
    data = args[0]
    if not isinstance(data, torch.Tensor):
        raise fail(f"a tensor of a device must be made from a tensor, but got {type(data)}")
    # Elements that are all one element of the file cost memory once they are copied.
    reader.charge(max(0, data.numel() - data.untyped_storage().nbytes()))


def _is_tensor_class(reader: Unpickler, kind: Any) -> bool:
    known = id(kind) in reader.user_ids or kind is torch.Tensor or kind is parameter_class()
    return known and isinstance(kind, type) and issubclass(kind, torch.Tensor)


def _guard_wrapper(reader: Unpickler, args: tuple[Any, ...]) -> None:
    if not args or not _is_tensor_class(reader, args[0]):
        raise fail("a tensor without memory must be of an allowed subclass of torch.Tensor")


def _guard_from_type(reader: Unpickler, args: tuple[Any, ...]) -> None:
    if len(args) != 4:
        raise fail(f"_rebuild_from_type_v2 takes 4 arguments, but got {len(args)}")
    func, kind, inner, state = args
    if type(inner) is not tuple:
        raise fail("the arguments of a reconstruction must be a tuple")
    if not _is_tensor_class(reader, kind):
        raise fail(f"Trying to create new object for unsupported class {kind}")
    if id(func) in _rebuilders():
        check_call(reader, func, inner)
    elif id(func) not in reader.user_ids:
        raise fail(f"Trying to call reduce for unrecognized function {func}")
    if "__setstate__" not in vars(kind) and state is not None:
        check_attributes(state)


def _free(reader: Unpickler, args: tuple[Any, ...]) -> None:
    return


_tables: list[dict[int, Guard]] = []


def _rebuilders() -> dict[int, Guard]:
    """What looks at the arguments of each function that rebuilds tensors, by its identity."""
    if not _tables:
        names = default_allowed()
        rebuilders: dict[int, Guard] = {
            id(names[f"torch._utils.{name}"]): _free for name in REBUILDERS
        }
        by_name = {
            "_rebuild_tensor_v2": _guard_hooks(5),
            "_rebuild_tensor_v3": _guard_hooks(5),
            "_rebuild_parameter": _guard_hooks(2),
            "_rebuild_parameter_with_state": _guard_parameter_state,
            "_rebuild_qtensor": _guard_hooks(6),
            "_rebuild_device_tensor_from_cpu_tensor": _guard_copy,
            "_rebuild_wrapper_subclass": _guard_wrapper,
        }
        for name, guard in by_name.items():
            rebuilders[id(getattr(_utils, name))] = guard
        callables: dict[int, Guard] = {
            **rebuilders,
            id(names["torch._tensor._rebuild_from_type_v2"]): _guard_from_type,
            id(names["collections.OrderedDict"]): _guard_container(pairs=True),
            id(names["collections.Counter"]): _guard_container(pairs=False),
            id(set): _guard_container(pairs=False),
            id(torch.Size): _guard_length,
            id(encode): _guard_length,
            id(make_bytearray): _guard_length,
            id(complex): _free,
            id(torch.device): _free,
            id(names["torch.serialization._get_layout"]): _free,
        }
        _tables.extend((rebuilders, callables))
    return _tables[0]


def check_call(reader: Unpickler, func: Any, args: tuple[Any, ...]) -> None:
    """Raise UnpicklingError unless an allowed object may be called with these arguments."""
    if func is parameter_class():
        return
    _rebuilders()
    guard = _tables[1].get(id(func))
    if guard is None:
        raise fail(f"Trying to call reduce for unrecognized function {func}")
    guard(reader, args)


def inert_class(args: tuple[Any, ...]) -> InertGlobal | None:
    """The class that was not looked up, of the arguments that rebuild a tensor of a subclass."""
    kind = args[1] if len(args) == 4 else None
    return kind if type(kind) is InertGlobal else None
