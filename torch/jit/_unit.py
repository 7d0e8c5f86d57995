# ruff: noqa: E501, I001
"""Functions and compilation units, and how other parts of the package make programs.

A TorchScript program is a ``Graph`` (``_ir.py``) with a ``Schema`` (``_schemas.py``) over types
(``_types.py``); together they are a ``Function``. Graphs come from three places: Python source (``script``),
the text of an archive (``load``), and whoever builds them by hand (``trace``). From a graph follow the text
(``Function.code``, ``_print.py``), which is what archives hold, and a Python function that runs it (``Function.run``,
``_codegen.py``), made at first use.

Making a function by hand::

    graph = Graph()
    x = graph.add_input("x")                           # a Tensor unless a type is given
    # numbers, None, lists and Values; overload and defaults are found
    y = graph.insert_call("aten::add", [x, 2])
    graph.add_output(y)
    f = ScriptFunction(Function.from_graph("f", graph))  # callable, .graph, .code, .save(...)

``graph.insert_call(name, args, kwargs)`` returns one ``Value`` (a tuple, ``prim::TupleConstruct``, for several
results); ``graph.insert("prim::GetAttr", [self], type, name="weight")`` makes any node;
``graph.constant(3.5)`` any constant, tensors included. ``graph.range = SourceRange(text, file, first_line,
line, column, end)`` is the place that the next nodes are shown with, ``node.scope`` a scope,
``value.setDebugName`` a name, ``TensorType("Float(2, 3, ...)")`` a tensor's type with what a trace knows.

Making a module by hand (``_recursive.py``, ``_script.py``)::

    m = wrap_module(nn_module, kind=lambda nn_module: TopLevelTracedModule)
        # an instance of that subclass of RecursiveScriptModule, for each submodule too (shared ones once), with the
        # parameters, buffers and submodules of nn_module and no methods; m._type is its ClassType
    graph = Graph(); this = graph.add_input("self", m._type); x = graph.add_input("x.1")
    w = graph.insert_attribute(this, "weight")         # prim::GetAttr, of the type that the attribute has
    r = graph.insert_method(sub, "forward", [x])       # prim::CallMethod on a submodule's value
    graph.add_output(r)
    m._add_method("forward", graph)                    # then m(x), m.forward, m.code, m.graph, m.save(...)

Text does as well: ``m.define("def forward(self, x: Tensor) -> Tensor: ...")`` and
``CompilationUnit().define(text)`` take TorchScript's own language.
"""

from __future__ import annotations

from ._ir import Graph
from ._schemas import NO_DEFAULT, Argument, Schema
from ._types import TENSOR, TensorType, TupleType, Type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["CompilationUnit", "Error", "Function", "Graph", "Schema"]


class Error(RuntimeError):
    """An error that a TorchScript program raised."""


Error.__module__ = "torch.jit"


class Function:
    """A compiled function or method. ``make`` compiles it at first use, so that functions may be declared before."""

    def __init__(
        self,
        name: str,
        schema: Schema | None = None,
        graph: Graph | None = None,
        make: Callable[[Function], None] | None = None,
    ) -> None:
        self.qualified_name = name
        self._schema, self._graph, self._make = schema, graph, make
        self._run: Callable[..., Any] | None = None
        self._checked: Callable[..., Any] | None = None
        self.python_function: Any = None
        self.doc: str | None = None
        # A function kept in Python: graphs call it, archives cannot hold it.
        self.in_python = False
        self._making = False

    @property
    def name(self) -> str:
        return self.qualified_name.rpartition(".")[2]

    @staticmethod
    def from_graph(name: str, graph: Graph, defaults: dict[str, Any] | None = None) -> Function:
        """A function of a graph that was built by hand; its parameters are the graph's inputs."""
        return Function(name, schema_of(name.rpartition(".")[2], graph, defaults), graph)

    def ensure(self) -> None:
        """Compile the function if that was put off."""
        if self._make is None:
            return
        if self._making:
            raise RuntimeError(f"function '{self.name}' is called recursively. Recursive calls are not supported")
        self._making = True
        try:
            self._make(self)
            self._make = None
        finally:
            self._making = False

    @property
    def schema(self) -> Schema:
        if self._schema is None:
            self.ensure()
        assert self._schema is not None
        return self._schema

    @property
    def graph(self) -> Graph:
        self.ensure()
        if self._graph is None:
            raise RuntimeError(f"'{self.name}' is kept in Python and has no graph")
        return self._graph

    @graph.setter
    def graph(self, graph: Graph) -> None:
        self._graph, self._run, self._checked = graph, None, None

    @property
    def run(self) -> Callable[..., Any]:
        """The Python function that runs the graph; it takes all arguments by position."""
        if self._run is None:
            from ._codegen import compile_function

            self._run = compile_function(self)
        return self._run

    @property
    def checked(self) -> Callable[..., Any]:
        """The function for callers from Python: defaults, keywords, checks of types."""
        if self._checked is None:
            from ._codegen import compile_entry

            self._checked = compile_entry(self)
        return self._checked

    @property
    def code(self) -> str:
        from ._print import code_of

        return code_of(self)[0]

    @property
    def code_with_constants(self) -> tuple[str, Any]:
        from ._print import code_of

        return code_of(self)

    @property
    def inlined_graph(self) -> Graph:
        from ._passes import inlined

        return inlined(self.graph)


def plain_type(kind: Type) -> Type:
    """A type without what a trace knows of its tensors."""
    if isinstance(kind, TensorType):
        return TENSOR
    parts = kind.contained()
    return kind.with_contained(tuple(plain_type(p) for p in parts)) if parts else kind


def schema_of(name: str, graph: Graph, defaults: dict[str, Any] | None = None) -> Schema:
    """The schema of a graph: its inputs are the parameters."""
    defaults = defaults or {}
    arguments = []
    for value in graph.inputs():
        label = value.debugName()
        base, dot, number = label.rpartition(".")
        label = base if dot and number.isdigit() else label
        arguments.append(Argument(label, plain_type(value.type()), defaults.get(label, NO_DEFAULT)))
    outputs: list[Type] = [plain_type(v.type()) for v in graph.outputs()]
    return Schema(name, arguments, outputs if len(outputs) == 1 else [TupleType(outputs)])


class CompilationUnit:
    """Functions and classes that were compiled together, by name.

    Example:
        >>> import torch
        >>> unit = torch.jit.CompilationUnit('''
        ... def double(x: Tensor) -> Tensor:
        ...     return x * 2
        ... ''')
        >>> unit.double(torch.ones(2))
        tensor([2., 2.])
    """

    def __init__(self, lang: str | None = None, _frames_up: int = 0) -> None:
        self._functions: dict[str, Function] = {}
        self._types: dict[str, Type] = {}
        self._mangled = 0
        if lang is not None:
            self.define(lang, _frames_up=_frames_up + 1)

    def define(self, lang: str, rcb: Any = None, _frames_up: int = 0) -> None:
        """Compile the functions of a text in TorchScript's language.

        Raises:
            RuntimeError: the text is no program, or its types do not fit.
        """
        from ._compile import surfacing
        from ._source import define_functions

        surfacing(define_functions, self, lang, rcb)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = self._functions.get(name)
        if found is None:
            raise AttributeError(f"'CompilationUnit' has no attribute '{name}'")
        from ._script import ScriptFunction

        return ScriptFunction(found)

    def find_function(self, name: str) -> Any:
        from ._script import ScriptFunction

        found = self._functions.get(name)
        return None if found is None else ScriptFunction(found)

    def get_functions(self) -> list[Any]:
        from ._script import ScriptFunction

        return [ScriptFunction(f) for f in self._functions.values()]

    def create_function(self, name: str, graph: Graph, shouldMangle: bool = False) -> Any:  # noqa: N803  PyTorch's
        from ._script import ScriptFunction

        function = self._functions[name] = Function.from_graph(self.fresh(name) if shouldMangle else name, graph)
        return ScriptFunction(function)

    def get_type(self, name: str) -> Type | None:
        return self._types.get(name)

    def get_class(self, name: str) -> Type | None:
        return self._types.get(name)

    def fresh(self, name: str) -> str:
        """A name that no type or function of the unit has: ``__torch__.m.___torch_mangle_3.Net``."""
        if name not in self._types and name not in self._functions:
            return name
        parts = [p for p in name.split(".") if not p.startswith("___torch_mangle_")]
        while True:
            parts_of = [*parts[:-1], f"___torch_mangle_{self._mangled}", parts[-1]]
            self._mangled += 1
            found = ".".join(parts_of)
            if found not in self._types and found not in self._functions:
                return found


CompilationUnit.__module__ = "torch.jit"
# Where functions and classes that were scripted one by one live.
python_unit = CompilationUnit()
