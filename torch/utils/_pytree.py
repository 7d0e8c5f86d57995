"""Nested containers as a flat list of leaves and a description of the nesting."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

__all__ = [
    "LeafSpec",
    "TreeSpec",
    "register_pytree_node",
    "tree_all",
    "tree_any",
    "tree_flatten",
    "tree_iter",
    "tree_leaves",
    "tree_map",
    "tree_map_",
    "tree_map_only",
    "tree_structure",
    "tree_unflatten",
]

# Type to (children and context of a value, value of children and context).
_NODES: dict[Any, tuple[Callable[[Any], tuple[list[Any], Any]], Callable[[list[Any], Any], Any]]] = {}


def register_pytree_node(
    cls: Any,
    flatten_fn: Callable[[Any], tuple[list[Any], Any]],
    unflatten_fn: Callable[[Iterable[Any], Any], Any],
    **options: Any,
) -> None:
    """Let a class be a container: how it comes apart into children and context, and goes together again."""
    if cls in _NODES:
        raise ValueError(f"{cls} is already registered as pytree node.")
    _NODES[cls] = (flatten_fn, unflatten_fn)


_NODES.update(
    {
        tuple: (lambda value: (list(value), None), lambda children, _: tuple(children)),
        list: (lambda value: (list(value), None), lambda children, _: list(children)),
        dict: (
            lambda value: (list(value.values()), list(value)),
            lambda children, keys: dict(zip(keys, children, strict=True)),
        ),
        OrderedDict: (
            lambda value: (list(value.values()), list(value)),
            lambda children, keys: OrderedDict(zip(keys, children, strict=True)),
        ),
        defaultdict: (
            lambda value: (list(value.values()), (value.default_factory, list(value))),
            lambda children, context: defaultdict(context[0], zip(context[1], children, strict=True)),
        ),
        deque: (
            lambda value: (list(value), value.maxlen),
            lambda children, maxlen: deque(children, maxlen=maxlen),
        ),
    }
)

_NAMEDTUPLE = (lambda value: (list(value), type(value)), lambda children, cls: cls(*children))
_STRUCTURE = (lambda value: (list(value), type(value)), lambda children, cls: cls(children))


def _node(value: Any) -> Any:
    found = _NODES.get(type(value))
    if found is None and isinstance(value, tuple):
        if hasattr(value, "n_sequence_fields"):
            return _STRUCTURE
        if hasattr(value, "_fields"):
            return _NAMEDTUPLE
    return found


class TreeSpec:
    """The nesting of a value: its type, that type's context, and the nesting of its children."""

    __slots__ = ("type", "context", "children_specs", "num_leaves")

    def __init__(self, type: Any, context: Any, children_specs: list[TreeSpec]) -> None:
        self.type, self.context, self.children_specs = type, context, children_specs
        self.num_leaves = 1 if type is None else sum(child.num_leaves for child in children_specs)

    @property
    def num_children(self) -> int:
        return len(self.children_specs)

    def is_leaf(self) -> bool:
        return self.type is None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TreeSpec) and (self.type, self.context, self.children_specs) == (
            other.type,
            other.context,
            other.children_specs,
        )

    def __hash__(self) -> int:
        return hash((self.type, self.num_leaves, len(self.children_specs)))

    def __repr__(self) -> str:
        if self.type is None:
            return "*"
        return f"TreeSpec({self.type.__name__}, {self.context}, {self.children_specs})"


class LeafSpec(TreeSpec):
    """The nesting of a leaf."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(None, None, [])


_LEAF = LeafSpec()


def tree_flatten(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list[Any], TreeSpec]:
    """The leaves of a nested value, and its nesting."""
    leaves: list[Any] = []

    def visit(value: Any) -> TreeSpec:
        node = None if is_leaf is not None and is_leaf(value) else _node(value)
        if node is None:
            leaves.append(value)
            return _LEAF
        children, context = node[0](value)
        return TreeSpec(type(value), context, [visit(child) for child in children])

    spec = visit(tree)
    return leaves, spec


def tree_unflatten(leaves: Iterable[Any], treespec: TreeSpec) -> Any:
    """A nested value from leaves and nesting."""
    items = list(leaves)
    if len(items) != treespec.num_leaves:
        raise ValueError(
            f"tree_unflatten(leaves, treespec): `leaves` has length {len(items)} but the spec refers to a pytree that "
            f"holds {treespec.num_leaves} items ({treespec})."
        )
    source = iter(items)

    def build(spec: TreeSpec) -> Any:
        if spec.type is None:
            return next(source)
        children = [build(child) for child in spec.children_specs]
        node = _NODES.get(spec.type)
        if node is None:
            node = _STRUCTURE if hasattr(spec.type, "n_sequence_fields") else _NAMEDTUPLE
        return node[1](children, spec.context)

    return build(treespec)


def tree_iter(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> Iterable[Any]:
    """The leaves, one after the other."""
    return iter(tree_flatten(tree, is_leaf)[0])


def tree_leaves(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[Any]:
    """The leaves."""
    return tree_flatten(tree, is_leaf)[0]


def tree_structure(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> TreeSpec:
    """The nesting."""
    return tree_flatten(tree, is_leaf)[1]


def tree_map(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """The same nesting with ``func`` applied to each leaf, and to the corresponding ones of further values."""
    leaves, spec = tree_flatten(tree, is_leaf)
    columns = [leaves]
    for rest in rests:
        other, other_spec = tree_flatten(rest, is_leaf)
        if other_spec != spec:
            raise ValueError(f"nesting differs: {spec} and {other_spec}")
        columns.append(other)
    return tree_unflatten([func(*row) for row in zip(*columns, strict=True)], spec)


def tree_map_(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """Call ``func`` on each leaf and return the value unchanged."""
    tree_map(func, tree, *rests, is_leaf=is_leaf)
    return tree


def tree_map_only(kind: Any, func: Any, tree: Any = None, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """``tree_map`` over the leaves of one type, or those that a predicate accepts."""
    accepts = kind if callable(kind) and not isinstance(kind, type) else lambda leaf: isinstance(leaf, kind)
    return tree_map(lambda leaf: func(leaf) if accepts(leaf) else leaf, tree, is_leaf=is_leaf)


def tree_all(pred: Callable[[Any], bool], tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> bool:
    """Whether ``pred`` holds for all leaves."""
    return all(map(pred, tree_leaves(tree, is_leaf)))


def tree_any(pred: Callable[[Any], bool], tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> bool:
    """Whether ``pred`` holds for some leaf."""
    return any(map(pred, tree_leaves(tree, is_leaf)))
