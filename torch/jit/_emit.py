"""Compiles the statements of a program: variables, branches, loops and exits become values, blocks and flags.

A statement list is compiled from its start; what follows a statement that may leave the list goes into the branch that
does not leave. Where that would have to be copied, a flag says whether the list was left. Flags and the result are
variables like others, with names that no program can write (``$exit``, ``$ret``).
"""

from __future__ import annotations

import ast

from ._assign import Assignments
from ._expr import Expressions
from ._ir import Graph, Value
from ._match import converted
from ._sugar import CompileError, Sugar
from ._types import (
    ANY,
    INT,
    NONE,
    STR,
    TENSOR,
    ClassType,
    InterfaceType,
    ListType,
    Type,
    is_subtype,
    unify,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

FALLS, EXITS, THROWS = "falls", "exits", "throws"
_LARGEST = 9223372036854775807


class Frame:
    """The variables of a block; those of the blocks around are seen through ``parent``."""

    __slots__ = ("names", "types", "parent", "lost")

    def __init__(self, parent: Frame | None = None) -> None:
        self.names: dict[str, Any] = {}
        self.types: dict[str, Type] = {}
        self.lost: dict[str, str] = {}
        self.parent = parent

    def find(self, name: str) -> Any:
        frame: Frame | None = self
        while frame is not None:
            if name in frame.names:
                return frame.names[name]
            frame = frame.parent
        return None

    def declared(self, name: str) -> Type | None:
        frame: Frame | None = self
        while frame is not None:
            if name in frame.types:
                return frame.types[name]
            frame = frame.parent
        return None

    def why_lost(self, name: str) -> str | None:
        frame: Frame | None = self
        while frame is not None:
            if name in frame.lost:
                return frame.lost[name]
            frame = frame.parent
        return None


class _Bind(ast.stmt):
    """Gives a target the element of an unrolled loop."""

    _fields = ()

    def __init__(self, target: ast.AST, thing: Any) -> None:
        super().__init__()
        self.target, self.thing = target, thing
        ast.copy_location(self, target)


class _Next(ast.stmt):
    """The end of a loop's body: decides whether it runs once more."""

    _fields = ()

    def __init__(self, test: ast.AST | None, node: ast.AST) -> None:
        super().__init__()
        self.test = test
        ast.copy_location(self, node)


def ways_out(statements: list[ast.stmt]) -> str:
    """``none``, ``maybe``, ``always`` or ``throws``: how a list of statements can be left before its end."""
    result = "none"
    for s in statements:
        way = "none"
        if isinstance(s, (ast.Return, ast.Break, ast.Continue)):
            way = "always"
        elif isinstance(s, ast.Raise):
            way = "throws"
        elif isinstance(s, ast.If):
            both = {ways_out(s.body), ways_out(s.orelse)}
            if both <= {"always", "throws"}:
                way = "throws" if both == {"throws"} else "always"
            elif both & {"always", "maybe"}:
                way = "maybe"
        elif isinstance(s, ast.With):
            way = ways_out(s.body)
        elif isinstance(s, (ast.For, ast.While)) and _returns(s):
            way = "maybe"
        if way in ("always", "throws"):
            return way if result == "none" else "always" if way == "always" else result
        if way == "maybe":
            result = "maybe"
    return result


def _returns(node: ast.AST) -> bool:
    return any(isinstance(inner, ast.Return) for inner in ast.walk(node))


def assigned_names(statements: list[ast.stmt]) -> list[str]:
    """Names that statements set, in order."""
    found: dict[str, None] = {}
    for s in statements:
        for node in ast.walk(s):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found[node.id] = None
            elif isinstance(node, (ast.AugAssign, ast.AnnAssign)) and isinstance(node.target, ast.Name):
                found[node.target.id] = None
    return list(found)


class Emitter(Assignments, Expressions):
    """Compiles one function."""

    def __init__(self, source: Any, resolver: Any, name: str) -> None:
        self.source, self.resolver, self.function_name = source, resolver, name
        self.graph = Graph()
        self.frame = Frame()
        self.return_type: Type | None = None
        self.returned_type: Type | None = None
        self.loops: list[_Next] = []
        self.depth = 0

    # ---- places and errors

    def at(self, node: ast.AST) -> None:
        """Make a node of the syntax the place of what is added next."""
        found = self.source.range_of(node)
        if found is not None:
            self.graph.range = found

    def fail(self, node: ast.AST, message: str, lead: bool = True) -> None:
        place = self.source.range_of(node)
        text = f"\n{message}:\n{place.highlight()}\n" if place is not None else f"\n{message}\n"
        raise CompileError(text if lead or not text.startswith("\n\n") else text[1:]) from None

    # ---- variables

    def set(self, name: str, thing: Any, node: ast.AST, declared: Type | None = None) -> None:
        """Assign a variable of the program."""
        if name == "_" and isinstance(thing, Sugar):
            return
        if isinstance(thing, Value):
            before = None
            if self.frame.parent is not None:
                frame: Frame | None = self.frame.parent
                while frame is not None and name not in frame.names:
                    frame = frame.parent
                if frame is not None:
                    before = self.frame.parent.declared(name)
                    if before is None and isinstance(frame.names[name], Value):
                        before = frame.names[name].type()
            known = self.frame.types.get(name)
            if known is not None and declared is None:
                fitting = converted(self.graph, thing, known, False)
                if fitting is None:
                    self.fail(
                        node,
                        f"Variable '{name}' is annotated with type {known.repr_str()} but is being assigned "
                        f"to a value of type {thing.type().repr_str()}",
                    )
            if before is not None and name != "_":
                fitting = self.widened(thing, before)
                if fitting is None:
                    text = (
                        f"Variable '{name}' previously had type {before.repr_str()} but is now being assigned "
                        f"to a value "
                        f"of type {thing.type().repr_str()}"
                    )
                    if before == ListType(TENSOR) and isinstance(thing.type(), ListType):
                        text += (
                            "\nEmpty lists default to List[Tensor]. Add a variable annotation to the assignment to "
                            "create an empty list of another type (torch.jit.annotate(List[T, []]) where T is the type "
                            "of elements in the list for Python 2)"
                        )
                    self.fail(node, text)
                assert fitting is not None
                thing = fitting
            if not thing.name and not thing.constant()[0]:
                thing.name = self.graph.fresh(name)
        elif self.frame.parent is not None:
            outer = self.frame.parent.find(name)
            if isinstance(outer, Value):
                value = self.as_value(thing, node)
                self.set(name, value, node, declared)
                return
        self.frame.names[name] = thing
        if declared is not None:
            self.frame.types[name] = declared

    def widened(self, value: Value, wanted: Type) -> Value | None:
        """The value where one of ``wanted`` is expected: its own type may be narrower."""
        return value if is_subtype(value.type(), wanted) else None

    def refine(self, narrowed: dict[str, Type]) -> None:
        """Inside the block at hand variables have narrower types."""
        for name, type in narrowed.items():
            value = self.frame.find(name)
            if isinstance(value, Value) and value.type() != type:
                if type is NONE:
                    self.frame.names[name] = self.graph.constant(None)
                    continue
                cast = self.graph.insert("prim::unchecked_cast", [value], type)
                cast.name = self.graph.fresh(name)
                self.frame.names[name] = cast

    # ---- the function

    def function(self, tree: ast.FunctionDef, parameters: list[tuple[str, Type, Any]], returned: Type | None) -> Graph:
        """Compile a function; ``parameters`` are name, type and what the program sees (None: the value)."""
        self.return_type, self.tree = returned, tree
        for name, type, wrap in parameters:
            value = self.graph.add_input(name, type)
            self.frame.names[name] = value if wrap is None else wrap(value)
        statements = list(tree.body)
        if (
            statements
            and isinstance(statements[0], ast.Expr)
            and isinstance(statements[0].value, ast.Constant)
            and isinstance(statements[0].value.value, str)
        ):
            del statements[0]
        end = ast.Return(value=None)
        ast.copy_location(end, statements[-1] if statements else tree)
        end.implicit = True  # type: ignore[attr-defined]
        flow = self.body([*statements, end])
        self.graph.range = None
        result = self.frame.find("$ret")
        if flow == THROWS or result is None:
            kind = self.return_type or self.returned_type or NONE
            result = self.graph.constant(None) if kind is NONE else self.graph.insert("prim::Uninitialized", [], kind)
        self.graph.add_output(result)
        return self.graph

    def body(self, statements: list[ast.stmt]) -> str:
        """Compile statements; how their end is reached."""
        for i, s in enumerate(statements):
            rest = statements[i + 1 :]
            if isinstance(s, ast.If):
                flow, done = self.branches(s, rest)
                if done:
                    return flow
            elif isinstance(s, (ast.For, ast.While)):
                flow, done = self.loop(s, rest)
                if done:
                    return flow
            elif isinstance(s, ast.With):
                flow = self.with_(s)
                if flow == FALLS and ways_out(s.body) == "maybe":
                    return self.guarded("$exit", rest, s)
            else:
                flow = self.statement(s)
            if flow != FALLS:
                return flow
        return FALLS

    def guarded(self, flag: str, rest: list[ast.stmt], node: ast.AST) -> str:
        """Compile what runs only if a flag is not set."""
        value = self.frame.find(flag)
        known, constant = value.constant()
        if known:
            return EXITS if constant else self.body(rest)
        if not rest:
            return FALLS
        flows = self.split(value, lambda: EXITS, lambda: self.body(rest), node)
        return EXITS if flows[1] == EXITS else FALLS

    def statement(self, s: ast.stmt) -> str:
        method = getattr(self, f"do_{type(s).__name__}", None)
        if method is None:
            self.source.unsupported(s)
        assert method is not None
        self.at(s)
        return method(s) or FALLS

    # ---- exits

    def do_Return(self, s: ast.Return) -> str:  # noqa: N802  the node's name
        wanted = self.return_type
        implicit = getattr(s, "implicit", False)
        if s.value is None:
            if wanted is not None and (wanted not in (NONE, ANY) if implicit else not is_subtype(NONE, wanted)):
                if implicit:
                    self.fail(
                        self.tree, "Function was not annotated as having type None, but does not return along all paths"
                    )
                self.fail(
                    s, f"Return value was annotated as having type {wanted.repr_str()} but is actually of type NoneType"
                )
            value = self.graph.constant(None)
        else:
            value = self.emit(s.value, wanted)
        self.at(s)
        if wanted is not None and wanted is not ANY:
            fitting = converted(self.graph, value, wanted, False)
            if fitting is None:
                self.fail(
                    s,
                    f"Return value was annotated as having type {wanted.repr_str()} but is actually of type "
                    f"{value.type().repr_str()}",
                )
            assert fitting is not None
            value = fitting
        elif wanted is None:
            before = self.returned_type
            merged = value.type() if before is None else unify(before, value.type())
            if merged is None:
                if implicit:
                    self.fail(
                        self.tree, "Function was not annotated as having type None, but does not return along all paths"
                    )
                before_text = before.repr_str() if before is not None else ""
                self.fail(
                    s,
                    f"Previous return statement returned a value of type {before_text} but this return "
                    f"statement returns a "
                    f"value of type {value.type().repr_str()}",
                )
            self.returned_type = merged
        names = self.frame.names
        true = self.graph.constant(True)
        names["$ret"], names["$exit"], names["$returned"] = value, true, true
        if self.loops:
            names["$again"] = self.graph.constant(False)
        return EXITS

    def do_Break(self, s: ast.Break) -> str:  # noqa: N802
        if not self.loops:
            self.fail(s, "Found break outside of loop" if not self.depth else "Cannot break inside an unrolled loop")
        self.frame.names["$again"] = self.graph.constant(False)
        self.frame.names["$exit"] = self.graph.constant(True)
        return EXITS

    def do_Continue(self, s: ast.Continue) -> str:  # noqa: N802
        if not self.loops:
            self.fail(s, "Found continue outside of loop")
        self.do__Next(self.loops[-1])
        self.frame.names["$exit"] = self.graph.constant(True)
        return EXITS

    def do__Next(self, s: _Next) -> str:  # noqa: N802
        test = self.graph.constant(True) if s.test is None else self.condition_value(s.test)
        self.frame.names["$again"] = test
        return FALLS

    def do_Raise(self, s: ast.Raise) -> str:  # noqa: N802
        message: Value = self.graph.constant("")
        kind = None
        if s.exc is None:
            self.fail(s, "raise without an exception is not supported")
        exc = s.exc
        if isinstance(exc, ast.Call):
            kind = self.exception_name(exc.func)
            if kind is None:
                thing = self.emit(exc)
                message, kind = self.text_of(thing, s), None
            elif len(exc.args) == 1:
                message = self.text_of(self.emit(exc.args[0]), s)
            elif exc.args:
                parts = [self.emit(a) for a in exc.args]
                pattern = self.graph.constant("(" + ", ".join("{}" for _ in parts) + ")")
                message = self.builtin("aten::format", [pattern, *parts], {}, s)
        else:
            kind = self.exception_name(exc)  # type: ignore[arg-type]
            if kind is None:
                message = self.text_of(self.emit(exc), s)  # type: ignore[arg-type]
        self.at(s)
        self.raise_(message, kind)
        return THROWS

    def exception_name(self, node: ast.AST) -> str | None:
        finder = getattr(self.resolver, "exception", None)
        return finder(self, node) if finder is not None else None

    def raise_(self, message: Value, kind: str | None = None) -> None:
        self.graph.create("prim::RaiseException", [message, self.graph.constant(kind)], [])

    def text_of(self, value: Value, node: ast.AST) -> Value:
        return value if value.type() is STR else self.builtin("aten::str", [value], {}, node)

    def do_Assert(self, s: ast.Assert) -> str:  # noqa: N802
        condition = self.condition(s.test)
        self.at(s)
        if condition.static is True:
            self.refine(condition.if_true)
            return FALLS

        def fail() -> str:
            if s.msg is None:
                message = self.graph.constant("AssertionError: ")
            else:
                text = self.text_of(self.emit(s.msg), s)
                self.at(s)
                message = self.builtin("aten::add", [self.graph.constant("AssertionError: "), text], {}, s)
            self.raise_(message)
            return THROWS

        if condition.static is False:
            return fail()

        def go_on() -> str:
            self.refine(condition.if_true)
            return FALLS

        self.split(condition.value, go_on, fail, s)
        return FALLS

    # ---- branches

    def branches(self, s: ast.If, rest: list[ast.stmt]) -> tuple[str, bool]:
        """Compile ``if``; whether what follows it was compiled too."""
        self.at(s)
        condition = self.condition(s.test)
        if condition.static is not None:
            self.refine(condition.if_true if condition.static else condition.if_false)
            return self.body([*(s.body if condition.static else s.orelse), *rest]), True
        ways = ways_out(s.body), ways_out(s.orelse)
        then, other = list(s.body), list(s.orelse)
        done = True
        if ways[0] in ("always", "throws") and "always" in ways:
            other += [] if ways[1] in ("always", "throws") else rest
        elif ways[1] in ("always", "throws") and "always" in ways:
            then += rest
        elif "maybe" in ways and len(rest) == 1 and isinstance(rest[0], (ast.Return, _Next)):
            then, other = then + rest, other + rest
        else:
            done = False

        def branch(statements: list[ast.stmt], narrowed: dict[str, Type]) -> Callable[[], str]:
            def compile() -> str:
                self.refine(narrowed)
                return self.body(statements)

            return compile

        if "maybe" in ways and not done:
            self.frame.names["$exit"] = self.graph.constant(False)
        self.at(s)
        flows = self.split(condition.value, branch(then, condition.if_true), branch(other, condition.if_false), s)
        if done:
            return (FALLS if FALLS in flows else THROWS if flows == (THROWS, THROWS) else EXITS), True
        if "maybe" in ways:
            return self.guarded("$exit", rest, s), True
        return (THROWS if flows == (THROWS, THROWS) else FALLS), False

    def split(
        self, condition: Value, then: Callable[[], str], other: Callable[[], str], node: ast.AST
    ) -> tuple[str, str]:
        """``prim::If``: compile both branches and join the variables that they set."""
        made = self.graph.create("prim::If", [condition], [])
        outer_block, outer = self.graph.block, self.frame
        flows, frames, blocks = [], [], []
        for compile in (then, other):
            block = made.add_block()
            self.graph.block, self.frame = block, Frame(outer)
            flows.append(compile())
            frames.append(self.frame)
            blocks.append(block)
        place = self.graph.range
        joined: dict[str, Any] = {}
        for name in dict.fromkeys([*frames[0].names, *frames[1].names]):
            self.join(name, made, blocks, frames, flows, joined, node)
        self.graph.block, self.frame, self.graph.range = outer_block, outer, place
        for name, thing in joined.items():
            outer.names[name] = thing
        return flows[0], flows[1]

    def join(
        self,
        name: str,
        made: Any,
        blocks: list[Any],
        frames: list[Frame],
        flows: list[str],
        joined: dict[str, Any],
        node: ast.AST,
    ) -> None:
        things = [f.find(name) for f in frames]
        gone = [flow == THROWS or (flow == EXITS and not name.startswith("$") and not self.loops) for flow in flows]
        if things[0] is things[1]:
            joined[name] = things[0]
            return
        outer = frames[0].parent
        assert outer is not None
        missing = [t is None for t in things]
        free = [g or (m and flow != FALLS) for g, m, flow in zip(gone, missing, flows, strict=True)]
        if any(m and not f for m, f in zip(missing, free, strict=True)):
            if not name.startswith("$"):
                which = "false" if missing[1] else "true"
                outer.lost[name] = f"{name} is not defined in the {which} branch"
            elif name == "$ret":
                self.join_values(
                    name,
                    made,
                    blocks,
                    frames,
                    things,
                    [g or m for g, m in zip(gone, missing, strict=True)],
                    joined,
                    node,
                )
            else:
                falses = [self.graph.constant(False) if t is None else t for t in things]
                self.join_values(name, made, blocks, frames, falses, [False, False], joined, node)
            return
        if all(free):
            return
        if any(isinstance(t, Sugar) and not hasattr(t, "parts") for t in things if t is not None):
            kept = [t for t, f in zip(things, free, strict=True) if not f]
            if len(kept) == 1:
                joined[name] = kept[0]
            elif all(isinstance(t, Sugar) for t in kept):
                outer.lost[name] = f"{name} is set to different things in the branches"
            return
        self.join_values(name, made, blocks, frames, things, free, joined, node)

    def join_values(
        self,
        name: str,
        made: Any,
        blocks: list[Any],
        frames: list[Frame],
        things: list[Any],
        free: list[bool],
        joined: dict[str, Any],
        node: ast.AST,
    ) -> None:
        values: list[Value | None] = []
        for thing, block, frame, is_free in zip(things, blocks, frames, free, strict=True):
            self.graph.block, self.frame = block, frame
            values.append(None if is_free or thing is None else self.as_value(thing, node))
        kinds = [v.type() for v in values if v is not None]
        declared = frames[0].parent.declared(name) if frames[0].parent is not None else None
        merged = kinds[0] if len(kinds) == 1 else unify(kinds[0], kinds[1])
        if (
            declared is not None
            and all(is_subtype(k, declared) for k in kinds)
            and (merged is None or len(set(kinds)) > 1)
        ):
            merged = declared
        outer = frames[0].parent
        assert outer is not None
        if merged is None:
            if name == "$ret" and self.return_type is not None:
                merged = self.return_type
            else:
                text = (
                    f"Type mismatch: {name} is set to type {kinds[0].repr_str()} in the true branch and type "
                    f"{kinds[1].repr_str()} in the false branch"
                )
                if outer.find(name) is not None:
                    self.fail(node, text)
                outer.lost[name] = text
                return
        for i, block in enumerate(blocks):
            value = values[i]
            if value is None:
                self.graph.block = block
                value = self.graph.insert("prim::Uninitialized", [], merged)
            block.result.add_input(value)
        joined[name] = made.add_output(merged, self.graph.fresh(name) if not name.startswith("$") else "")

    # ---- loops

    def loop(self, s: ast.For | ast.While, rest: list[ast.stmt]) -> tuple[str, bool]:
        self.at(s)
        if s.orelse:
            self.fail(s, "else branches of loops aren't supported")
        if isinstance(s, ast.For):
            source = self.iterable(self.emit_any(s.iter), s.iter)
            items = self.static_items(source, s)
            if items is not None:
                statements: list[ast.stmt] = []
                for thing in items:
                    statements += [_Bind(s.target, thing), *s.body]
                if any(isinstance(n, (ast.Break, ast.Continue)) for n in _own_exits(s.body)):
                    self.fail(s, "Cannot break or continue in a loop that is unrolled: it goes over a tuple or modules")
                return self.body([*statements, *rest]), True
            limit = self.length_of(source, s)
            first: Value = self.graph.constant(True)
            test = None
        else:
            source = None
            limit = self.graph.constant(_LARGEST)
            condition = self.condition(s.test)
            first = condition.value if condition.static is None else self.graph.constant(condition.static)
            test = s.test
        returns = _returns(s)
        names = [n for n in assigned_names([s]) if self.frame.find(n) is not None]
        carried: list[tuple[str, Value]] = []
        for name in names:
            thing = self.frame.find(name)
            if isinstance(thing, Sugar) and not hasattr(thing, "parts"):
                continue
            carried.append((name, self.as_value(thing, s)))
        if returns:
            carried.append(("$returned", self.graph.constant(False)))
            result = self.frame.find("$ret") or self.graph.insert("prim::Uninitialized", [], self.return_type or NONE)
            carried.append(("$ret", result))
        self.at(s)
        made = self.graph.create("prim::Loop", [limit, first, *(v for _, v in carried)], [])
        outer_block, outer = self.graph.block, self.frame
        block = made.add_block()
        self.graph.block, self.frame = block, Frame(outer)
        index = block.add_parameter(INT)
        for name, value in carried:
            kind = outer.declared(name) or value.type()
            label = "" if name.startswith("$") else self.graph.fresh(name)
            self.frame.names[name] = block.add_parameter(kind, label)
        next_ = _Next(test, s)
        self.loops.append(next_)
        if isinstance(s, ast.For):
            self.set_target(s.target, self.element_of(source, index, s), s)
        else:
            # The test's conclusions hold inside; computing it again adds nothing that is used.
            self.refine(condition.if_true)
        self.body([*s.body, next_])
        self.loops.pop()
        again = self.frame.find("$again") or self.graph.constant(True)
        finals = [self.as_value(self.frame.find(name), s) for name, _ in carried]
        block.result.add_input(again)
        for final in finals:
            block.result.add_input(final)
        self.graph.block, self.frame = outer_block, outer
        for (name, value), parameter, final in zip(carried, block.parameters[1:], finals, strict=True):
            if name == "$ret":
                kind = self.return_type or final.type()
                parameter.setType(kind)
                value.setType(kind)
            output = made.add_output(parameter.type(), "" if name.startswith("$") else self.graph.fresh(name))
            outer.names[name] = output
        for name, thing in list(block_names(self, s)):
            outer.lost.setdefault(name, thing)
        if returns:
            outer.names["$exit"] = outer.names["$returned"]
            return self.guarded("$returned", rest, s), True
        return FALLS, False

    # ---- with

    def with_(self, s: ast.With) -> str:
        managers: list[Value] = []
        for item in s.items:
            self.at(item.context_expr)
            value = self.as_value(self.emit_any(item.context_expr), item.context_expr)
            kind = value.type()
            methods = [
                kind.find_method(n) if isinstance(kind, (ClassType, InterfaceType)) else None
                for n in ("__enter__", "__exit__")
            ]
            if None in methods:
                self.fail(
                    s,
                    "Object returned by with statement expression must define __enter__ and __exit__ methods"
                    if isinstance(kind, ClassType)
                    else "With item expression must return an object",
                )
            entered = self.graph.insert("prim::Enter", [value], methods[0].schema.returns)  # type: ignore[union-attr]
            if item.optional_vars is not None:
                self.set_target(item.optional_vars, entered, s)
            managers.append(value)
        flow = self.body(s.body)
        for value in reversed(managers):
            self.graph.create("prim::Exit", [value], [ANY])
        return flow

    # ---- plain statements

    def do__Bind(self, s: _Bind) -> None:  # noqa: N802
        self.set_target(s.target, s.thing, s)

    def do_Expr(self, s: ast.Expr) -> None:  # noqa: N802
        if not isinstance(s.value, ast.Constant):
            self.emit_any(s.value)

    def do_Pass(self, s: ast.Pass) -> None:  # noqa: N802
        return

    def do_FunctionDef(self, s: ast.FunctionDef) -> None:  # noqa: N802
        closure = getattr(self.resolver, "closure", None)
        if closure is None:
            self.source.unsupported(s)
        assert closure is not None
        self.frame.names[s.name] = closure(self, s)



def block_names(em: Emitter, s: ast.For | ast.While) -> list[tuple[str, str]]:
    """Names that only a loop's body sets, with what to say of them afterwards."""
    return [
        (n, f"{n} is not defined in the loop, as it may not run")
        for n in assigned_names([s])
        if em.frame.find(n) is None
    ]


def _own_exits(statements: list[ast.stmt]) -> list[ast.AST]:
    """``break`` and ``continue`` that belong to the loop whose body this is."""
    found: list[ast.AST] = []
    for s in statements:
        if isinstance(s, (ast.Break, ast.Continue)):
            found.append(s)
        elif isinstance(s, ast.If):
            found += _own_exits(s.body) + _own_exits(s.orelse)
        elif isinstance(s, ast.With):
            found += _own_exits(s.body)
    return found
