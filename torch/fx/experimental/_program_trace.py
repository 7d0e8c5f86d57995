"""Tracing of programs whose sizes may be open: each torch function that is called becomes nodes.

The program runs with fake tensors, which show symbolic sizes, under a mode that sees every torch function before it
does anything. The function itself then runs on the example's sizes, and on some others if sizes are open; what differs
between these runs is written as expressions of the sizes (``_sampling.py``).
"""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch
from torch._C import _len_torch_dispatch_stack
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
    plain_sizes,
)
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import _pop_mode, _push_mode

from ..graph import Graph
from ..node import Node
from ..passes.shape_prop import TensorMetadata, _extract_tensor_metadata
from ._branches import FunctionOperations
from ._expressions import Call as ExprCall
from ._expressions import Expr, Symbol
from ._overloads import CONVERSIONS, conversion, whole_call
from ._recorder import Call, CallRecorder
from ._sampling import NoExpression, fit, sample_points
from ._trace_helpers import expanded_leaves, like_result, plain_copy, set_grad_enabled
from ._unbacked import DYNAMIC, UnbackedOperations
from .sym_node import RelationNode, sym_function
from .symbolic_shapes import GuardOnDataDependentSymNode, ShapeEnv, ValueRanges, int_oo

__all__ = ["ProgramTracer"]

_SYMBOLIC = (torch.SymInt, torch.SymFloat)
# Functions that change how what follows runs; they act while the program is traced and leave no node.
_CONTEXT = frozenset("_set_grad_enabled set_grad_enabled manual_seed seed".split())

# Functions that give elements of a tensor as numbers.
_ASK_ELEMENTS = frozenset("__bool__ item __int__ __float__ tolist __index__ __contains__".split())

# Functions that compute with sizes as numbers: they run on the example's and on other sizes as they are.
_OPAQUE = frozenset("interpolate upsample upsample_nearest upsample_bilinear".split())


class _SizesDisagree(RuntimeError):  # noqa: N818
    """A function does something else, or fails, for other sizes than the example's."""


class _Outside:
    """Inside, operations on real tensors are not part of the program."""

    def __enter__(self) -> None:
        self._modes = [_pop_mode() for _ in range(_len_torch_dispatch_stack())][::-1]

    def __exit__(self, *exc: Any) -> None:
        for mode in self._modes:
            _push_mode(mode)


def current_tracer() -> ProgramTracer | None:
    """The tracer of the program that is being traced, or None."""
    mode = torch.overrides._get_current_function_mode()
    return mode.tracer if isinstance(mode, _FunctionMode) else None


class _FunctionMode(TorchFunctionMode):
    def __init__(self, tracer: ProgramTracer) -> None:
        super().__init__()
        self.tracer = tracer

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.tracer.function(func, tuple(args), kwargs or {}, self)


class ProgramTracer(FunctionOperations, UnbackedOperations):
    """Builds the graph of a program.

    Args:
        env: the symbols of open sizes.
        whole: keep operations that are made of others.
        decompositions: operations to replace by functions.
        constant: the node of a tensor that the program took from elsewhere.
        describe: adds to the ``meta`` of each node.
    """

    def __init__(
        self,
        env: ShapeEnv,
        fake_mode: FakeTensorMode,
        *,
        whole: bool,
        decompositions: dict[Any, Callable[..., Any]] | None = None,
        constant: Callable[[torch.Tensor], Node],
        describe: Callable[[Node], None] = lambda node: None,
        tracer_cls: Any = None,
    ) -> None:
        self.graph = Graph(tracer_cls=tracer_cls)
        self.env, self.fake_mode, self.whole = env, fake_mode, whole
        self.decompositions = decompositions or {}
        self._constant, self._describe = constant, describe
        self.nodes: dict[int, Node] = {}
        self._alive: list[Any] = []
        self.sizes: dict[Expr, Node] = {}
        self.size_sources: dict[Symbol, tuple[Node, int, int]] = {}
        self.multiples: dict[Symbol, int] = {}
        self.function_counts: dict[str, int] = {}
        # Whether conversions state what they convert, as in exported programs.
        self.states_metadata = False
        # Whether an operation that is made of others stays whole.
        self.keeps: Callable[[Any], bool] = lambda op: True
        self._records_gradients = torch.is_grad_enabled()
        self.notes_gradients = whole
        # The graphs of branches and loops, by the attribute that they become.
        self.parts: dict[str, Graph] = {}
        self.taken: list[torch.Tensor] = []

    # ---- values and their nodes

    def bind(self, value: torch.Tensor, node: Node) -> None:
        """Say that a tensor is the result of a node."""
        self.nodes[id(value)] = node
        self._alive.append(value)
        node.meta["val"] = value
        if isinstance(value, FakeTensor):
            node.meta["val"] = plain_copy(value, keep_grad=node.op == "placeholder")
            node.meta["tensor_meta"] = self.metadata(value)
            for dim, size in enumerate(value.shape if self.env.unbacked else ()):
                symbol = next(iter(size.node.expr.symbols)) if isinstance(size, torch.SymInt) else None
                if symbol in self.env.unbacked and size.node.expr == Expr.of(symbol):
                    self.size_sources.setdefault(symbol, (node, dim, 0))

    @staticmethod
    def metadata(value: FakeTensor) -> TensorMetadata:
        with plain_sizes():
            found = _extract_tensor_metadata(value)
        return found._replace(shape=value.shape, stride=value.stride())

    def node_of(self, value: torch.Tensor) -> Node:
        """The node of a tensor; a constant's is made now."""
        node = self.nodes.get(id(value))
        if node is None:
            node = self._constant(value)
            self.nodes[id(value)] = node
            self._alive.append(value)
        return node

    def argument(self, value: Any) -> Any:
        """A value as the argument of a node."""
        if isinstance(value, torch.Tensor):
            return self.node_of(value)
        if isinstance(value, _SYMBOLIC):
            return self.size_node(value.node.expr, value)
        if isinstance(value, torch.SymBool):
            return self.condition_node(value)
        if isinstance(value, Expr):
            return self.size_node(value, self.env.symint(value))
        if isinstance(value, torch.Size):
            return [self.argument(v) for v in value]
        if isinstance(value, (list, tuple)):
            parts = [self.argument(v) for v in value]
            if hasattr(value, "_fields"):
                return type(value)(*parts)
            return parts if isinstance(value, list) else tuple(parts)
        if isinstance(value, dict):
            return {k: self.argument(v) for k, v in value.items()}
        if isinstance(value, slice):
            return slice(self.argument(value.start), self.argument(value.stop), self.argument(value.step))
        return value

    def size_node(self, expr: Expr, value: Any) -> Any:
        """The node that computes a symbolic number, or the number."""
        if expr.constant is not None:
            return expr.constant
        if expr not in self.sizes:
            self.sizes[expr] = self._lower(expr)
            self.sizes[expr].meta["val"] = value if isinstance(value, _SYMBOLIC) else self.env.symint(expr)
        return self.sizes[expr]

    def _lower(self, expr: Expr) -> Node:
        terms = list(expr.terms.items())
        if len(terms) == 1 and terms[0][1] == 1 and len(terms[0][0]) == 1 and terms[0][0][0][1] == 1:
            return self._lower_atom(terms[0][0][0][0])
        total: Any = None
        for monomial, coefficient in sorted(terms, key=lambda t: not t[0]):
            product: Any = None
            for atom, power in monomial:
                for _ in range(power):
                    part = self.size_node(Expr.of(atom), None)
                    product = part if product is None else self._arithmetic(operator.mul, product, part)
            if product is None:
                product = coefficient
            elif coefficient != 1:
                product = self._arithmetic(operator.mul, product, coefficient)
            total = product if total is None else self._arithmetic(operator.add, total, product)
        return total  # type: ignore[no-any-return]

    def _arithmetic(self, function: Any, a: Any, b: Any) -> Node:
        return self.graph.call_function(function, (a, b))

    def _lower_atom(self, atom: Any) -> Node:
        if isinstance(atom, Symbol):
            if atom in self.env.unbacked:
                return self._size_node_behind(atom)
            source, dim, number = self.size_sources[atom]
            last = next(n for n in reversed(self.graph.nodes) if n.op == "placeholder")
            own = [n for n in self.sizes.values() if n.target is torch.ops.aten.sym_size.int]
            with self.graph.inserting_after(own[-1] if own else last):
                return self.graph.call_function(
                    torch.ops.aten.sym_size.int,
                    (source, dim),
                    name=f"sym_size_int_{number}" if number else "sym_size_int",
                )
        assert isinstance(atom, ExprCall)
        args = tuple(self.size_node(a, None) for a in atom.args)
        binary = {"floordiv": operator.floordiv, "mod": operator.mod, "truediv": operator.truediv, "pow": operator.pow}
        function = binary.get(atom.name) or sym_function(atom.name)
        return self.graph.call_function(function, args)

    # ---- functions

    @contextlib.contextmanager
    def running(self) -> Any:
        """Inside, torch functions become nodes."""
        before, self.env.recorder = self.env.recorder, self._note_size
        try:
            with self.fake_mode, _FunctionMode(self):
                yield
        finally:
            self.env.recorder = before

    def _note_size(self, function: Any, args: tuple[Any, ...], result: Any) -> Any:
        """Make the node of an arithmetic operation on sizes, so that the graph does it as the program does."""
        if isinstance(result, _SYMBOLIC) and result.node.expr not in self.sizes:
            expr = result.node.expr
            if len(expr.symbols) and not (len(expr.terms) == 1 and _is_symbol(expr)):
                node = self.graph.call_function(function, tuple(self.argument(a) for a in args))
                node.meta["val"] = result
                self._describe(node)
                self.sizes[expr] = node
        return result

    def function(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], mode: Any) -> Any:
        """What a torch function gives; it becomes nodes."""
        name = getattr(func, "__name__", "")
        leaves = pytree.arg_tree_leaves(*args, **kwargs)
        symbolic = any(isinstance(v, _SYMBOLIC) for v in expanded_leaves(leaves))
        if name in _CONTEXT:
            return func(*args, **kwargs)
        if name in _ASK_ELEMENTS:
            with mode:
                return self._elements_asked(func, name, args, kwargs, leaves)
        if name == "__len__":
            return int(args[0].shape[0])
        if name == "tensor":
            with _Outside():
                return func(*args, **kwargs)
        if name in DYNAMIC and any(isinstance(v, FakeTensor) for v in leaves):
            found = self.dynamic(func, DYNAMIC[name], *self._made_fake((args, kwargs)))
            if found is not NotImplemented:
                return found
        whole = whole_call(func, args, kwargs) if self.whole else None
        if self.states_metadata and name in CONVERSIONS and leaves and isinstance(args[0], FakeTensor):
            whole = conversion(name, args, kwargs)
            if whole is not None:
                self._state_metadata(func, args[0])
        if whole is not None and self.keeps(whole[0]):
            return self._run_whole(func, args, kwargs, whole)
        if isinstance(func, FunctionType):
            inner = getattr(func, "__wrapped__", None)
            if inner is not None and name not in _OPAQUE:
                with mode:
                    return inner(*args, **kwargs)
            if not symbolic and not any(isinstance(v, torch.Tensor) for v in leaves):
                with mode:
                    return func(*args, **kwargs)
        return self._run_parts(func, args, kwargs)

    def _state_metadata(self, func: Any, tensor: FakeTensor) -> None:
        """The node that checks that a tensor to convert is what it was for the example."""
        kwargs = {"dtype": tensor.dtype, "device": tensor.fake_device, "layout": tensor.layout}
        node = self.graph.call_function(
            torch.ops.aten._assert_tensor_metadata.default, (self.argument(tensor),), kwargs,
            name="_assert_tensor_metadata_default",
        )  # fmt: skip
        self._name_function(node, None)
        self._describe(node)

    def _elements_asked(self, func: Any, name: str, args: Any, kwargs: Any, leaves: Any) -> Any:
        """A function that gives elements of a tensor as numbers."""
        if not any(isinstance(v, FakeTensor) for v in leaves):
            with torch.overrides._pop_mode_temporarily():
                return func(*args, **kwargs)
        if name in ("item", "tolist") and isinstance(args[0], FakeTensor):
            return self.element(func, args[0]) if name == "item" else self.elements(func, args[0])
        raise GuardOnDataDependentSymNode(name, _needs_value(name))

    def _points(self, values: Any) -> list[dict[Symbol, int]]:
        symbols: set[Symbol] = set()
        for v in expanded_leaves(values):
            symbols |= self._symbols_of(v)
        return sample_points(self.env, symbols, self.multiples)

    def _at(self, values: Any, point: dict[Symbol, int], example: bool) -> Any:
        """Arguments as they are for certain sizes."""

        def one(v: Any) -> Any:
            if isinstance(v, _SYMBOLIC):
                return v.node._expr.value(point)
            if isinstance(v, torch.Size):
                return torch.Size(one(s) for s in v)
            if isinstance(v, slice):
                return slice(one(v.start), one(v.stop), one(v.step))
            if not isinstance(v, FakeTensor) or v._sizes is None:
                return v
            if example and not self._unbacked_in(v):
                return v
            sizes = [one(s) for s in v.shape]
            steps = [one(s) for s in v.stride()]
            if example and (sizes, steps) == (list(v._meta.shape), list(v._meta.stride())):
                return v
            with self.fake_mode:
                made = torch.empty_strided(sizes, steps, dtype=v.dtype, device=v.fake_device)
                if v.requires_grad:
                    # What an operation becomes depends on whether gradients are recorded, and on leaves.
                    made.requires_grad_()
                    if not v.is_leaf:
                        made = like_result(made)
            if example and id(v) in self.nodes:
                # The operation is recorded with this tensor in place of the one that it stands for.
                self.nodes[id(made)] = self.nodes[id(v)]
                self._alive.append(made)
            return made

        return pytree.tree_map(one, values, is_leaf=lambda v: isinstance(v, torch.Size))

    def _each(self, func: Any, args: Any, kwargs: Any, recorder: Any) -> tuple[list[Any], list[dict[Symbol, int]]]:
        """Run a function for the example and for other sizes; what the recorder makes of each run."""
        points = self._points((args, kwargs))
        free = self._unbacked_in((args, kwargs))
        runs, kept = [], []
        for number, point in enumerate(points):
            try:
                a, k = self._at((args, kwargs), point, example=number == 0)
                runs.append(recorder(func, a, k))
                kept.append(point)
            except (DataDependentOutputException, DynamicOutputShapeException) as e:
                raise GuardOnDataDependentSymNode(e.func, _needs_value(str(e.func))) from e
            except Exception as e:
                if number == 0:
                    if not free:
                        raise
                    point, run = self._other_example(func, args, kwargs, recorder, free, e)
                    runs.append(run)
                    kept.append(point)
                elif not free:
                    raise _SizesDisagree(str(e)) from e
        for value in (3, 1, 4, 0) if free and len(runs) == 1 else ():
            # A number that depends on elements may be one that the function refuses: that is left to the run.
            point = {**kept[0], **{s: value for s in free if value in self.env.var_to_range[s]}}
            with contextlib.suppress(Exception):
                a, k = self._at((args, kwargs), point, example=False)
                runs.append(recorder(func, a, k))
                kept.append(point)
        return runs, kept

    def _unbacked_in(self, values: Any) -> list[Symbol]:
        if not self.env.unbacked:
            return []
        return sorted({s for v in expanded_leaves(values) for s in self._symbols_of(v) if s in self.env.unbacked})

    def _other_example(self, func: Any, args: Any, kwargs: Any, recorder: Any, free: Any, error: Any) -> Any:
        """The example with other values for the numbers that depend on elements, such that the function runs."""
        for value in (1, 0, 3, 4, 5, 8):
            point = {**self.env.var_to_val, **{s: value for s in free if value in self.env.var_to_range[s]}}
            try:
                a, k = self._at((args, kwargs), point, example=True)
                return point, recorder(func, a, k)
            except Exception:  # noqa: S112  the first error is the one to show
                continue
        raise error

    def _settled(self, attempt: Callable[[], Any], values: Any) -> Any:
        """Do something that may fail for other sizes; if it does, find out what has to hold of the sizes."""
        for _ in range(2 * len(self.env.var_to_val) + 2):
            try:
                return attempt()
            except (_SizesDisagree, NoExpression) as e:
                self._learn(values, attempt, e)
        raise RuntimeError("what the program requires of its sizes was not found")

    def _learn(self, values: Any, attempt: Callable[[], Any], error: Exception) -> None:
        """Assume the least that makes something work: that two sizes are equal, or a multiple, or a constant."""
        env = self.env
        found = {s for v in expanded_leaves(values) for s in self._symbols_of(v)}
        symbols = sorted(found - env.unbacked, key=repr)
        if found & env.unbacked and not symbols:
            raise GuardOnDataDependentSymNode(error, _needs_relation(error, found)) from error
        saved = (dict(env.replacements), dict(env.var_to_range), dict(self.multiples), list(env.relations))

        def works() -> bool:
            try:
                self._probe(attempt)
            except (_SizesDisagree, NoExpression):
                return False
            return True

        def undo() -> None:
            env.replacements, env.var_to_range = dict(saved[0]), dict(saved[1])
            self.multiples, env.relations = dict(saved[2]), list(saved[3])

        for i, a in enumerate(symbols):
            for b in symbols[i + 1 :]:
                if env.var_to_val[a] == env.var_to_val[b]:
                    env.assume(RelationNode("==", Expr.of(b), Expr.of(a), env))
                    if works():
                        return
                    undo()
        for symbol in symbols:
            for factor in (2, 3, 4, 5, 6, 7, 8, 16, 32, 64):
                if env.var_to_val[symbol] % factor == 0 and factor > self.multiples.get(symbol, 1):
                    self.multiples[symbol] = factor
                    remainder = Expr.of(ExprCall("mod", (Expr.of(symbol), Expr.of(factor))))
                    env.relations.append(RelationNode("==", remainder, Expr.of(0), env))
                    if works():
                        return
                    undo()
        for symbol in symbols:
            env.specialise(Expr.of(symbol))
            if works():
                return
            undo()
        for symbol in symbols:
            env.specialise(Expr.of(symbol))
        if not symbols:
            raise error

    def _symbols_of(self, value: Any) -> set[Symbol]:
        if isinstance(value, _SYMBOLIC):
            return value.node.expr.symbols  # type: ignore[no-any-return]
        if isinstance(value, FakeTensor) and value._sizes is not None:
            return {s for size in value.shape for s in self._symbols_of(size)}
        return set()

    def _probe(self, attempt: Callable[[], Any]) -> None:
        """Try something without leaving nodes."""
        last = next(iter(reversed(self.graph.nodes)), None)
        attempt.__dict__["probing"] = True
        try:
            attempt()
        finally:
            attempt.__dict__["probing"] = False
            for node in reversed(list(self.graph.nodes)):
                if node is last:
                    break
                if not node.users and node.op != "placeholder" and node not in self.sizes.values():
                    self.graph.erase_node(node)

    # ---- operations kept whole

    def _run_whole(self, func: Any, args: Any, kwargs: Any, whole: Any) -> Any:
        op, node_args, node_kwargs = whole

        def run(f: Any, a: Any, k: Any) -> Any:
            with plain_sizes():
                return f(*a, **k)

        def attempt() -> Any:
            runs, points = self._each(func, args, kwargs, run)
            return runs[0], self._sizes_of(runs, points, (args, kwargs))

        args, kwargs, node_args, node_kwargs = self._made_fake((args, kwargs, node_args, node_kwargs))
        result, sizes = self._settled(attempt, (args, kwargs))
        self._note_gradients()
        node = self.graph.call_function(
            op, self.argument(node_args), self.argument(node_kwargs), name=self.graph._target_to_str(op._opname)
        )
        self._finish(node, result, sizes, func)
        return result

    def _made_fake(self, values: Any) -> Any:
        """Real tensors among arguments as fake ones that stand for constants."""

        def fake(t: Any) -> Any:
            if isinstance(t, FakeTensor) or not isinstance(t, torch.Tensor):
                return t
            node = self.node_of(t)
            made = self.fake_mode.from_tensor(t)
            if id(made) not in self.nodes:
                self.bind(made, node)
            return made

        return pytree.tree_map(fake, values)

    def _sizes_of(self, runs: list[Any], points: list[dict[Symbol, int]], inputs: Any) -> list[Any]:
        """For each tensor of a result, its sizes and strides as expressions; None where all are known."""
        if len(runs) == 1:
            return [None] * len(pytree.tree_leaves(runs[0]))
        flat = [pytree.tree_leaves(r) for r in runs]
        if len({len(f) for f in flat}) != 1:
            raise _SizesDisagree("a different number of results for other sizes")
        candidates = self._candidates(inputs)
        found = []
        for same in zip(*flat, strict=True):
            if not isinstance(same[0], torch.Tensor):
                found.append(None)
                continue
            found.append(self._geometry(same, points, candidates))
        return found

    def _geometry(self, same: Any, points: Any, candidates: list[Expr]) -> Any:
        with plain_sizes():
            shapes = [tuple(t.shape) for t in same]
            strides = [tuple(t.stride()) for t in same]
        if len({len(s) for s in shapes}) != 1:
            raise _SizesDisagree("a result of another rank for other sizes")
        sizes = [self._fitted(values, points, candidates) for values in zip(*shapes, strict=True)]
        for size in sizes:
            if self.env.unbacked and _is_plain(size):
                self.env.var_to_range[next(iter(size.symbols))] &= ValueRanges(0, int_oo)
        if all(s.constant is not None for s in sizes):
            return None
        wider = list(dict.fromkeys([*candidates, *(s for s in sizes if s.constant is None)]))
        return sizes, [_stride(values, points, sizes, strides, i, wider)
                       for i, values in enumerate(zip(*strides, strict=True))]  # fmt: skip

    def _fitted(self, values: Any, points: Any, candidates: list[Expr]) -> Expr:
        """The expression of a size; a new symbol where it depends on elements in another way."""
        try:
            return fit(values, points, candidates)
        except NoExpression:
            if not any(self.env.depends_on_elements(c) for c in candidates):
                raise
            made: Expr = self.env.create_unbacked(0, int_oo).node.expr
            (symbol,) = made.symbols
            for point, value in zip(points, values, strict=True):
                point[symbol] = value
            return made

    def _candidates(self, inputs: Any) -> list[Expr]:
        """The expressions that results are likely made of: sizes of arguments, symbolic numbers, symbols."""
        found: dict[Expr, None] = {}
        for v in expanded_leaves(inputs):
            if isinstance(v, torch.SymInt):
                found[v.node.expr] = None
            elif isinstance(v, FakeTensor) and v._sizes is not None:
                for size in v.shape:
                    if isinstance(size, torch.SymInt):
                        found[size.node.expr] = None
        for expr in list(found):
            for symbol in sorted(expr.symbols):
                found.setdefault(Expr.of(symbol), None)
        return list(found)

    def _symbolic(self, value: FakeTensor, geometry: Any) -> None:
        """Give a fake tensor its symbolic sizes."""
        if geometry is None:
            return
        sizes, steps = geometry
        value._sizes = tuple(self.env.symint(s) for s in sizes)
        value._steps = tuple(self.env.symint(s) for s in steps)

    def _finish(self, node: Node, result: Any, sizes: list[Any], func: Any) -> None:
        """Tie a result to its node, part by part."""
        self._name_function(node, func)
        self._describe(node)
        leaves = pytree.tree_leaves(result)
        for value, geometry in zip(leaves, sizes, strict=True):
            if isinstance(value, FakeTensor) and id(value) not in self.nodes:
                self._symbolic(value, geometry)
        if isinstance(result, torch.Tensor):
            self.bind(result, node)
            return
        node.meta["val"] = result
        if isinstance(result, (list, tuple)):
            for i, part in enumerate(result):
                if isinstance(part, torch.Tensor):
                    item = self.graph.call_function(operator.getitem, (node, i))
                    self._name_function(item, func)
                    self._describe(item)
                    self.bind(part, item)

    def _name_function(self, node: Node, func: Any) -> None:
        name = getattr(func, "__name__", "")
        if name and func is not None:
            kind = {"Function": "builtin_function_or_method", "Method": "method_descriptor"}
            count = self.function_counts.get(name, 0) + 1
            self.function_counts[name] = count
            node.meta["torch_fn"] = (f"{name}_{count}", f"{kind.get(type(func).__name__, type(func).__name__)}.{name}")

    def _note_gradients(self) -> None:
        """Let the graph switch the recording of gradients where the program does."""
        now = torch.is_grad_enabled()
        if now != self._records_gradients and self.notes_gradients:
            self._records_gradients = now
            self._describe(self.graph.call_function(set_grad_enabled, (now,), name="_set_grad_enabled"))

    # ---- operations as they come to the kernels

    def _run_parts(self, func: Any, args: Any, kwargs: Any) -> Any:
        def run(f: Any, a: Any, k: Any) -> tuple[Any, list[Call]]:
            recorder = CallRecorder(self.decompositions)
            with plain_sizes(), recorder:
                return f(*a, **k), recorder.calls

        def attempt() -> Any:
            runs, points = self._each(func, args, kwargs, run)
            calls = [r[1] for r in runs]
            self._check_alike(calls)
            return runs[0][0], self._plan(calls, points, (args, kwargs)), [
                self._sizes_of([r[0] for r in runs], points, (args, kwargs))
            ][0]  # fmt: skip

        if any(isinstance(t, torch.Tensor) and not isinstance(t, FakeTensor)
               for t in pytree.arg_tree_leaves(*args, **kwargs)):  # fmt: skip
            if not any(isinstance(t, FakeTensor) for t in pytree.arg_tree_leaves(*args, **kwargs)) and _only_asks(func):
                return func(*args, **kwargs)
            args, kwargs = self._made_fake((args, kwargs))
        result, plan, sizes = self._settled(attempt, (args, kwargs))
        if plan:
            self._note_gradients()
        for call, call_args, call_kwargs, geometry in plan:
            node = self.graph.call_function(
                call.op, self.argument(call_args), self.argument(call_kwargs),
                name=self.graph._target_to_str(call.op._opname),
            )  # fmt: skip
            self._finish(node, call.result, geometry, func)
        for value, geometry in zip(pytree.tree_leaves(result), sizes, strict=True):
            if isinstance(value, FakeTensor) and value._sizes is None:
                self._symbolic(value, geometry)
        return result

    @staticmethod
    def _check_alike(calls: list[list[Call]]) -> None:
        if len({tuple(c.op for c in run) for run in calls}) != 1:
            raise _SizesDisagree("other operations for other sizes")

    def _plan(self, calls: list[list[Call]], points: Any, inputs: Any) -> list[Any]:
        """The operations with arguments as expressions, and the sizes of their results."""
        candidates = self._candidates(inputs)
        plan = []
        for same in zip(*calls, strict=True):
            args = self._aligned([c.args for c in same], points, candidates)
            kwargs = self._aligned([c.kwargs for c in same], points, candidates)
            geometry = self._sizes_of([c.result for c in same], points, inputs)
            for sizes in geometry:
                if sizes is not None:
                    candidates = list(dict.fromkeys([*candidates, *(s for s in sizes[0] if s.constant is None)]))
            plan.append((same[0], args, kwargs, geometry))
        return plan

    def _aligned(self, values: list[Any], points: Any, candidates: list[Expr]) -> Any:
        first = values[0]
        if isinstance(first, torch.Tensor):
            return first
        if isinstance(first, (list, tuple)):
            if len({len(v) for v in values}) != 1:
                raise _SizesDisagree("other arguments for other sizes")
            parts = [self._aligned(list(v), points, candidates) for v in zip(*values, strict=True)]
            return parts if isinstance(first, list) else tuple(parts)
        if isinstance(first, dict):
            return {k: self._aligned([v[k] for v in values], points, candidates) for k in first}
        if isinstance(first, int) and not isinstance(first, bool) and any(v != first for v in values):
            return fit(values, points, candidates)
        if any(type(v) is not type(first) or v != first for v in values):
            raise _SizesDisagree("other arguments for other sizes")
        return first


def _is_plain(expr: Expr) -> bool:
    return len(expr.terms) == 1 and () not in expr.terms and _is_symbol(expr)


def _is_symbol(expr: Expr) -> bool:
    ((monomial, coefficient),) = expr.terms.items()
    return coefficient == 1 and len(monomial) == 1 and monomial[0][1] == 1 and isinstance(monomial[0][0], Symbol)


def _only_asks(func: Any) -> bool:
    """Whether a function of real tensors, as of constants, is left to compute."""
    return getattr(func, "__name__", "") in (
        "__get__",
        "size",
        "dim",
        "is_contiguous",
        "stride",
        "tensor",
        "requires_grad_",
    )


def _stride(values: Any, points: Any, sizes: list[Expr], strides: Any, index: int, candidates: list[Expr]) -> Expr:
    """A stride: mostly the product of the sizes behind it."""
    product = Expr.of(1)
    for size in sizes[index + 1 :]:
        product = product * size
    if all(product.value(p) == v for p, v in zip(points, values, strict=True)):
        return product
    return fit(values, points, candidates)


def _needs_relation(error: Exception, symbols: Any) -> str:
    names = ", ".join(sorted(map(repr, symbols)))
    return (
        f"Could not guard on data-dependent expression: what the program does depends on {names}: {error}. "
        "State what holds of it with torch._check."
    )


def _needs_value(what: str) -> str:
    return (
        f"Could not guard on data-dependent expression: {what} asks for an element of a tensor, which has none while "
        "the program is traced. Use torch.cond, or torch.where, to decide by elements."
    )
