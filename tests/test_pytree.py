"""``torch.utils._pytree``: nested containers as leaves and nesting."""

import dataclasses
import pickle
from collections import OrderedDict, defaultdict, deque, namedtuple

import pytest

import torch
from torch.utils import _pytree as pytree

Point = namedtuple("Point", "x y")  # noqa: PYI024


class Pair:
    def __init__(self, a, b):
        self.a, self.b = a, b


@pytest.fixture
def registered_pair():
    pytree.register_pytree_node(
        Pair,
        lambda p: ([p.a, p.b], "context"),
        lambda children, _: Pair(*children),
        serialized_type_name="tests.Pair",
        flatten_with_keys_fn=lambda p: ([(pytree.GetAttrKey("a"), p.a), (pytree.GetAttrKey("b"), p.b)], "context"),
    )
    yield
    pytree._deregister_pytree_node(Pair)


def example():
    return {
        "a": [1, (2, 3)],
        "b": Point(4, None),
        "c": OrderedDict(z=5),
        "d": deque([6], maxlen=3),
        "e": defaultdict(list, {"q": 7}),
        "f": torch.return_types.max((8, 9)),
    }


def test_every_builtin_container_comes_apart_and_together():
    leaves, spec = pytree.tree_flatten(example())
    assert leaves == [1, 2, 3, 4, None, 5, 6, 7, 8, 9]
    assert (spec.num_leaves, spec.num_nodes, spec.num_children, spec.type) == (10, 18, 6, dict)
    rebuilt = pytree.tree_unflatten(leaves, spec)
    assert rebuilt == example() and [type(v) for v in rebuilt.values()] == [type(v) for v in example().values()]
    assert rebuilt["d"].maxlen == 3 and rebuilt["e"].default_factory is list


def test_nestings_print_as_pytorchs():
    spec = pytree.tree_structure({"a": [1, (2, 3)], "c": OrderedDict(z=5)})
    assert repr(spec) == (
        "TreeSpec(dict, ['a', 'c'], [TreeSpec(list, None, [*,\n    TreeSpec(tuple, None, [*,\n      *])]),\n"
        "  TreeSpec(OrderedDict, ['z'], [*])])"
    )
    assert repr(pytree.LeafSpec()) == "*"
    assert pytree.treespec_pprint(spec) == "{'a': [*, (*, *)], 'c': OrderedDict([('z', *)])}"


def test_paths():
    pairs, spec = pytree.tree_flatten_with_path(example())
    assert [pytree.keystr(path) for path, _ in pairs] == [
        "['a'][0]", "['a'][1][0]", "['a'][1][1]", "['b'].x", "['b'].y", "['c']['z']", "['d'][0]", "['e']['q']",
        "['f'][0]", "['f'][1]",
    ]  # fmt: skip
    assert [pytree.key_get(example(), path) for path, _ in pairs] == [leaf for _, leaf in pairs]
    assert spec == pytree.tree_structure(example())
    assert pytree.tree_map_with_path(lambda path, x: (len(path), x), [[1], 2]) == [[(2, 1)], (1, 2)]
    assert repr(pairs[0][0]) == "(MappingKey(key='a'), SequenceKey(idx=0))"


def test_nestings_as_text():
    spec = pytree.tree_structure({"a": [1, (2, 3)], "e": defaultdict(list, {"q": 7}), "d": deque([6], maxlen=3)})
    text = pytree.treespec_dumps(spec)
    assert text.startswith('[1, {"type": "builtins.dict", "context": "[\\"a\\", \\"e\\", \\"d\\"]", "children_spec": [')
    assert pytree.treespec_loads(text) == spec
    assert pickle.loads(pickle.dumps(spec)) == spec and hash(pickle.loads(pickle.dumps(spec))) == hash(spec)
    with pytest.raises(NotImplementedError, match="didn't register a serializated_type_name"):
        pytree.treespec_dumps(pytree.tree_structure(Point(1, 2)))
    pytree._register_namedtuple(Point, serialized_type_name="tests.Point")
    named = pytree.tree_structure(Point(1, 2))
    assert pytree.treespec_loads(pytree.treespec_dumps(named)) == named
    with pytest.raises(ValueError, match=r"Unknown protocol 2. Available protocols: \[1\]"):
        pytree.treespec_dumps(spec, protocol=2)


def test_own_classes(registered_pair):
    leaves, spec = pytree.tree_flatten([Pair(1, [2]), 3])
    assert leaves == [1, 2, 3]
    assert pytree.tree_map(lambda x: -x, [Pair(1, [2]), 3])[0].b == [-2]
    assert pytree.treespec_loads(pytree.treespec_dumps(spec)) == spec
    assert [pytree.keystr(path) for path, _ in pytree.tree_leaves_with_path(Pair(1, [2]))] == [".a", ".b[0]"]
    with pytest.raises(ValueError, match="is already registered as pytree node"):
        pytree.register_pytree_node(Pair, None, None)


def test_dataclasses_and_constants():
    @dataclasses.dataclass
    class Data:
        a: int
        b: object = None

    @dataclasses.dataclass(frozen=True)
    class Constant:
        value: int

    pytree.register_dataclass(Data)
    pytree.register_constant(Constant)
    assert pytree.tree_map(lambda x: x + 1, Data(1, [2])) == Data(2, [3])
    assert pytree.tree_leaves(Data(1)) == [1]
    assert pytree.tree_flatten([Constant(1), 2])[0] == [2]
    assert pytree.tree_structure([Constant(1)]) != pytree.tree_structure([Constant(2)])
    assert pytree.tree_map(str, [Constant(1), 2]) == [Constant(1), "2"]
    with pytest.raises(ValueError, match="as it is not a dataclass"):
        pytree.register_dataclass(Pair)


def test_maps_over_several_values():
    assert pytree.tree_map(lambda a, b: a + b, {"a": 1, "b": 3}, {"b": 2, "a": 5}) == {"a": 6, "b": 5}
    assert pytree.tree_map(lambda a, b: (a, b), [1, 2], [1, [2, 3]]) == [(1, 1), (2, [2, 3])]
    for other, text in (
        ((1, 2), "Node type mismatch; expected <class 'list'>, but got <class 'tuple'>."),
        ([1], "Node arity mismatch; expected 2, but got 1."),
    ):
        with pytest.raises(ValueError) as caught:
            pytree.tree_map(lambda a, b: a, [1, 2], other)
        assert str(caught.value) == text
    with pytest.raises(ValueError, match="missing key.s.: {'a'}; extra key.s.: {'b'}"):
        pytree.tree_map(lambda a, b: a, {"a": 1}, {"b": 2})


def test_only_some_leaves():
    assert pytree.tree_map_only(int, lambda x: x + 1, [1, "a", 2.0]) == [2, "a", 2.0]
    assert pytree.tree_map_only((int, float), lambda x: x + 1, [1, "a", 2.0]) == [2, "a", 3.0]
    assert pytree.tree_map_only(lambda x: x == "a", str.upper, [1, "a"]) == [1, "A"]
    assert pytree.tree_all_only(int, lambda x: x > 0, [1, "a"]) and not pytree.tree_any_only(int, lambda x: x > 1, [1])
    with pytest.raises(TypeError, match="Argument must be a type, a tuple of types, or a callable."):
        pytree.tree_map_only(3, str, [1])
    seen = []
    value = [1, [2]]
    assert pytree.tree_map_(seen.append, value) is value and seen == [1, 2]
    assert pytree.tree_leaves([1, [2]], is_leaf=lambda x: x == [2]) == [1, [2]]
    assert pytree.arg_tree_leaves(1, [2], a=3) == [1, 2, 3]


def test_wrong_numbers_of_leaves_and_no_nesting():
    spec = pytree.tree_structure([1, 2])
    with pytest.raises(ValueError, match="`leaves` has length 1 but the spec refers to a pytree that holds 2 items"):
        pytree.tree_unflatten([1], spec)
    with pytest.raises(TypeError, match="instance of PyTreeSpec but got item of type <class 'int'>"):
        pytree.tree_unflatten([1], 5)


def test_broadcasting_of_a_prefix():
    spec = pytree.tree_structure([1, [2, 3]])
    assert pytree._broadcast_to_and_flatten(0, spec) == [0, 0, 0]
    assert pytree._broadcast_to_and_flatten([0, 1], spec) == [0, 1, 1]
    assert pytree._broadcast_to_and_flatten([0, 1], pytree.tree_structure({"a": 1})) is None


def test_kinds_of_tuples():
    assert pytree.is_namedtuple(Point(1, 2)) and pytree.is_namedtuple_class(Point)
    assert not pytree.is_namedtuple((1, 2))
    result = torch.ones(2, 2).max(0)
    assert pytree.is_structseq_instance(result) and pytree.is_structseq_class(type(result))
    assert pytree._get_node_type(Point(1, 2)) is namedtuple and pytree._get_node_type([]) is list
