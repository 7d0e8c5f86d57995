"""Lists and dictionaries that refuse to change: what the arguments of a node are made of."""

from __future__ import annotations

from typing import NoReturn, TypeVar

from torch.utils import _pytree as pytree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = ["immutable_dict", "immutable_list"]

_T = TypeVar("_T")
_KT = TypeVar("_KT")
_VT = TypeVar("_VT")


def _no_mutation(self: Any, *args: Any, **kwargs: Any) -> NoReturn:
    raise TypeError(
        f"{type(self).__name__!r} object does not support mutation. If you are attempting to modify the kwargs or "
        "args of a torch.fx.Node object,\ninstead create a new copy of it and assign the copy to the node:\n\n"
        "    new_args = ...  # copy and mutate args\n    node.args = new_args"
    )


class immutable_list(list[_T]):  # noqa: N801
    """A list that raises TypeError when something would change it.

    >>> torch.fx.immutable_collections.immutable_list([1, 2])
    [1, 2]
    """

    __delitem__ = __iadd__ = __imul__ = __setitem__ = _no_mutation  # type: ignore[assignment]
    append = clear = extend = insert = pop = remove = reverse = sort = _no_mutation  # type: ignore[assignment]

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self))

    def __reduce__(self) -> tuple[type[immutable_list[_T]], tuple[tuple[_T, ...]]]:  # type: ignore[override]
        return type(self), (tuple(self),)


class immutable_dict(dict[_KT, _VT]):  # noqa: N801
    """A dictionary that raises TypeError when something would change it."""

    __delitem__ = __ior__ = __setitem__ = _no_mutation  # type: ignore[assignment]
    clear = pop = popitem = setdefault = update = _no_mutation  # type: ignore[assignment]

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> Any:
        return type(self), (tuple(self.items()),)


def _immutable_dict_flatten(d: immutable_dict[Any, _VT]) -> tuple[list[_VT], Any]:
    return pytree._dict_flatten(d)


def _immutable_dict_unflatten(values: Iterable[_VT], context: Any) -> immutable_dict[Any, _VT]:
    return immutable_dict(zip(context, values, strict=True))


def _immutable_list_flatten(d: immutable_list[_T]) -> tuple[list[_T], Any]:
    return list(d), None


def _immutable_list_unflatten(values: Iterable[_T], context: Any) -> immutable_list[_T]:
    return immutable_list(values)


pytree.register_pytree_node(
    immutable_dict,
    _immutable_dict_flatten,
    _immutable_dict_unflatten,
    serialized_type_name="torch.fx.immutable_collections.immutable_dict",
    flatten_with_keys_fn=pytree._dict_flatten_with_keys,
)
pytree.register_pytree_node(
    immutable_list,
    _immutable_list_flatten,
    _immutable_list_unflatten,
    serialized_type_name="torch.fx.immutable_collections.immutable_list",
    flatten_with_keys_fn=pytree._list_flatten_with_keys,
)
