# ruff: noqa: E501, I001
"""The types of TorchScript: what values may be, how types are written, and which stands for which."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from ._unit import CompilationUnit, Function


class Type:
    """A TorchScript type. ``str()`` is how graphs write it, ``annotation_str`` how programs do."""

    _kind = "Type"

    def kind(self) -> str:
        return self._kind

    @property
    def annotation_str(self) -> str:
        return str(self)

    def str(self) -> str:
        return str(self)

    def repr_str(self) -> str:
        return self.annotation_str

    def containedTypes(self) -> list[Type]:  # noqa: N802  PyTorch's spelling
        return list(self.contained())

    def contained(self) -> tuple[Type, ...]:
        return ()

    def with_contained(self, types: tuple[Type, ...]) -> Type:
        return self

    def isSubtypeOf(self, other: Type) -> bool:  # noqa: N802  PyTorch's spelling
        return is_subtype(self, other)

    def is_module(self) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._key() == other._key()  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash((self._kind, self._key()))

    def _key(self) -> Any:
        return ()

    def __repr__(self) -> str:
        return self.repr_str()


class _Simple(Type):
    """A type without parts; there is one instance of each."""

    _text = ""
    _one: Any = None

    @classmethod
    def get(cls) -> Any:
        if cls.__dict__.get("_one") is None:
            cls._one = cls()
        return cls._one

    def __str__(self) -> str:
        return self._text


def _simple(name: str, text: str) -> Any:
    body = {"_kind": name, "_text": text, "__module__": "torch", "__doc__": f"The type that graphs write ``{text}``."}
    return type(name, (_Simple,), body)


IntType = _simple("IntType", "int")
FloatType = _simple("FloatType", "float")
ComplexType = _simple("ComplexType", "complex")
BoolType = _simple("BoolType", "bool")
StringType = _simple("StringType", "str")
NumberType = _simple("NumberType", "Scalar")
NoneType = _simple("NoneType", "NoneType")
AnyType = _simple("AnyType", "Any")
DeviceObjType = _simple("DeviceObjType", "Device")
StreamObjType = _simple("StreamObjType", "Stream")
GeneratorType = _simple("GeneratorType", "Generator")
StorageType = _simple("StorageType", "Storage")
AnyListType = _simple("AnyListType", "list")
AnyTupleType = _simple("AnyTupleType", "tuple")
AnyEnumType = _simple("AnyEnumType", "AnyEnumType")
AnyClassType = _simple("AnyClassType", "AnyClassType")
SymIntType = _simple("SymIntType", "SymInt")
SymBoolType = _simple("SymBoolType", "SymBool")
CapsuleType = _simple("CapsuleType", "Capsule")
PyObjectType = _simple("PyObjectType", "PyObject")


class TensorType(_Simple):
    """A tensor; ``detail`` is what a trace knows of it (``Float(2, 3, strides=[3, 1], ...)``), for printing only."""

    _kind = "TensorType"
    __module__ = "torch"

    def __init__(self, detail: str = "", inferred: bool = False) -> None:
        self.detail, self.inferred = detail, inferred

    def repr_str(self) -> str:
        return "Tensor (inferred)" if self.inferred else "Tensor"

    def __str__(self) -> str:
        return self.detail or "Tensor"

    @property
    def annotation_str(self) -> str:
        return "Tensor"

    @staticmethod
    def getInferred() -> TensorType:  # noqa: N802  PyTorch's spelling
        return TensorType.get()


class _Of(Type):
    """A type with one element type."""

    __module__ = "torch"
    _python = ""

    def __init__(self, element: Type) -> None:
        self.element = element

    def getElementType(self) -> Type:  # noqa: N802  PyTorch's spelling
        return self.element

    def contained(self) -> tuple[Type, ...]:
        return (self.element,)

    def with_contained(self, types: tuple[Type, ...]) -> Type:
        return type(self)(types[0])

    @property
    def annotation_str(self) -> str:
        return f"{self._python}[{self.element.annotation_str}]"

    def _key(self) -> Any:
        return self.element


class ListType(_Of):
    """A list, ``int[]``."""

    _kind = "ListType"
    _python = "List"

    def __str__(self) -> str:
        return f"{self.element}[]"

    @staticmethod
    def ofInts() -> ListType:  # noqa: N802  PyTorch's spelling
        return ListType(INT)

    @staticmethod
    def ofFloats() -> ListType:  # noqa: N802  PyTorch's spelling
        return ListType(FLOAT)

    @staticmethod
    def ofComplexDoubles() -> ListType:  # noqa: N802  PyTorch's spelling
        return ListType(COMPLEX)

    @staticmethod
    def ofBools() -> ListType:  # noqa: N802  PyTorch's spelling
        return ListType(BOOL)

    @staticmethod
    def ofStrings() -> ListType:  # noqa: N802  PyTorch's spelling
        return ListType(STR)

    @staticmethod
    def ofTensors() -> ListType:  # noqa: N802  PyTorch's spelling
        return ListType(TENSOR)


class OptionalType(_Of):
    """A value or None, ``int?``."""

    _kind = "OptionalType"
    _python = "Optional"

    def __str__(self) -> str:
        return f"{self.element}?"

    @staticmethod
    def ofTensor() -> OptionalType:  # noqa: N802  PyTorch's spelling
        return OptionalType(TENSOR)


class FutureType(_Of):
    """A result that is still computed."""

    _kind = "FutureType"
    _python = "Future"

    def __str__(self) -> str:
        return f"Future({self.element})"


class AwaitType(_Of):
    """A call that is put off."""

    _kind = "AwaitType"
    _python = "Await"

    def __str__(self) -> str:
        return f"Await({self.element})"


class RRefType(_Of):
    """A value on another machine."""

    _kind = "RRefType"
    _python = "RRef"

    def __str__(self) -> str:
        return f"RRef({self.element})"


class DictType(Type):
    """A dictionary, ``Dict(str, int)``."""

    _kind = "DictType"
    __module__ = "torch"

    def __init__(self, key: Type, value: Type) -> None:
        self.key, self.value = key, value

    def getKeyType(self) -> Type:  # noqa: N802  PyTorch's spelling
        return self.key

    def getValueType(self) -> Type:  # noqa: N802  PyTorch's spelling
        return self.value

    def contained(self) -> tuple[Type, ...]:
        return (self.key, self.value)

    def with_contained(self, types: tuple[Type, ...]) -> Type:
        return DictType(*types)

    def __str__(self) -> str:
        return f"Dict({self.key}, {self.value})"

    @property
    def annotation_str(self) -> str:
        return f"Dict[{self.key.annotation_str}, {self.value.annotation_str}]"

    def _key(self) -> Any:
        return (self.key, self.value)


class TupleType(Type):
    """A tuple; with ``name`` and ``fields`` it is a NamedTuple."""

    _kind = "TupleType"
    __module__ = "torch"

    def __init__(
        self, elements: Iterable[Type], name: str = "", fields: Iterable[str] = (), defaults: Iterable[Any] = ()
    ) -> None:
        self.types, self.name, self.fields = tuple(elements), name, tuple(fields)
        self.defaults = tuple(defaults)
        self.python_class: Any = None

    def elements(self) -> list[Type]:
        return list(self.types)

    def contained(self) -> tuple[Type, ...]:
        return self.types

    def with_contained(self, types: tuple[Type, ...]) -> Type:
        if types == self.types:
            return self
        result = TupleType(types, self.name, self.fields, self.defaults)
        result.python_class = self.python_class
        return result

    def __str__(self) -> str:
        if self.fields:
            fields = ", ".join(f"{t} {n}" for n, t in zip(self.fields, self.types, strict=True))
            return f"NamedTuple({fields})" if not self.name else self.name
        return f"({', '.join(map(str, self.types))})"

    @property
    def annotation_str(self) -> str:
        if self.name:
            return self.name
        return f"Tuple[{', '.join(t.annotation_str for t in self.types) or '()'}]"

    def _key(self) -> Any:
        return (self.types, self.name)


class UnionType(Type):
    """One of several types."""

    _kind = "UnionType"
    __module__ = "torch"

    def __init__(self, members: Iterable[Type]) -> None:
        self.types = tuple(members)

    def contained(self) -> tuple[Type, ...]:
        return self.types

    def with_contained(self, types: tuple[Type, ...]) -> Type:
        return UnionType(types)

    def __str__(self) -> str:
        return f"Union[{', '.join(t.annotation_str for t in self.types)}]"

    def _key(self) -> Any:
        return frozenset(self.types)


class TypeVar(Type):
    """A free type of a schema, as ``t`` of ``t[]``."""

    _kind = "VarType"

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name

    def _key(self) -> Any:
        return self.name


class EnumType(Type):
    """An enum; its members are constants."""

    _kind = "EnumType"
    __module__ = "torch"

    def __init__(
        self, name: str, value_type: Type, members: Iterable[tuple[str, Any]], python_class: Any = None
    ) -> None:
        self.name, self.value_type, self.members = name, value_type, tuple(members)
        self.python_class = python_class

    def __str__(self) -> str:
        return f"Enum<{self.name}>"

    @property
    def annotation_str(self) -> str:
        return self.name

    def _key(self) -> Any:
        return self.name


class Attribute:
    """One attribute of a class: its type, and whether it is a parameter or a buffer."""

    __slots__ = ("name", "type", "is_parameter", "is_buffer")

    def __init__(self, name: str, type: Type, is_parameter: bool = False, is_buffer: bool = False) -> None:
        self.name, self.type, self.is_parameter, self.is_buffer = name, type, is_parameter, is_buffer


class ClassType(Type):
    """A class or a module: named attributes, constants and methods. Two are equal only if they are one object."""

    _kind = "ClassType"
    __module__ = "torch"

    def __init__(self, name: str, unit: CompilationUnit | None = None, is_module: bool = False) -> None:
        self.qualified_name, self.unit, self._is_module = name, unit, is_module
        self.attributes: dict[str, Attribute] = {}
        self.constants: dict[str, Any] = {}
        self.constant_types: dict[str, Type] = {}
        self.methods: dict[str, Function] = {}
        self.properties: dict[str, tuple[str, str]] = {}
        self.static_methods: dict[str, Function] = {}
        self.hooks: list[str] = []
        self.pre_hooks: list[str] = []
        self.python_class: Any = None
        self.resolve_method: Callable[[str], Function | None] | None = None

    def name(self) -> str:
        return self.qualified_name.rpartition(".")[2]

    def is_module(self) -> bool:
        return self._is_module

    def add_attribute(self, name: str, type: Type, is_parameter: bool = False, is_buffer: bool = False) -> None:
        self.attributes[name] = Attribute(name, type, is_parameter, is_buffer)

    def find_method(self, name: str) -> Function | None:
        found = self.methods.get(name)
        if found is None and self.resolve_method is not None:
            found = self.resolve_method(name)
        return found

    def __str__(self) -> str:
        return self.qualified_name

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


class InterfaceType(Type):
    """What a class or a module has to offer: the schemas of some methods."""

    _kind = "InterfaceType"
    __module__ = "torch"

    def __init__(self, name: str, is_module: bool = False) -> None:
        self.qualified_name, self._is_module = name, is_module
        self.methods: dict[str, Any] = {}
        self.python_class: Any = None

    def is_module(self) -> bool:
        return self._is_module

    def find_method(self, name: str) -> Any:
        return self.methods.get(name)

    def __str__(self) -> str:
        return self.qualified_name

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


class FunctionType(Type):
    """The type of a value that stands for a function."""

    _kind = "FunctionType"

    def __init__(self, function: Any) -> None:
        self.function = function

    def __str__(self) -> str:
        return "Function"

    def _key(self) -> Any:
        return id(self.function)


class ScriptClassType(Type):
    """A class of C++ that a library has registered; Tabula has none, so that only its name is known."""

    _kind = "ClassType"

    def __init__(self, name: str) -> None:
        self.qualified_name = name

    def __str__(self) -> str:
        return self.qualified_name

    def _key(self) -> Any:
        return self.qualified_name


# The type of a parameter without an annotation.
INFERRED = TensorType(inferred=True)
INT, FLOAT, COMPLEX, BOOL, STR = (t.get() for t in (IntType, FloatType, ComplexType, BoolType, StringType))
NONE, ANY, NUMBER, DEVICE, TENSOR = (t.get() for t in (NoneType, AnyType, NumberType, DeviceObjType, TensorType))
ANY_LIST, ANY_TUPLE = AnyListType.get(), AnyTupleType.get()
GENERATOR, STREAM = GeneratorType.get(), StreamObjType.get()


def optional(type: Type) -> Type:
    """``Optional[type]``, as it is written for one that is optional already."""
    if type is NONE or type is ANY or isinstance(type, OptionalType):
        return type
    if isinstance(type, UnionType):
        return type if NONE in type.types else UnionType((*type.types, NONE))
    return OptionalType(type)


def union(types: Iterable[Type]) -> Type:
    """The union of types; one of two, None among them, is an optional type."""
    flat: list[Type] = []
    for t in types:
        parts: Iterable[Type] = (t,)
        if isinstance(t, UnionType):
            parts = t.types
        elif isinstance(t, OptionalType):
            parts = (t.element, NONE)
        for part in parts:
            if not any(is_subtype(part, kept) for kept in flat):
                flat = [kept for kept in flat if not is_subtype(kept, part)] + [part]
    if len(flat) == 1:
        return flat[0]
    if len(flat) == 2 and NONE in flat:
        return OptionalType(flat[0] if flat[1] is NONE else flat[1])
    return UnionType(flat)


def members(type: Type) -> tuple[Type, ...]:
    """The alternatives of a union or an optional type; otherwise the type itself."""
    if isinstance(type, UnionType):
        return type.types
    if isinstance(type, OptionalType):
        return (*members(type.element), NONE)
    return (type,)


def is_optional(type: Type) -> bool:
    return isinstance(type, OptionalType) or (isinstance(type, UnionType) and NONE in type.types)


def is_subtype(small: Type, large: Type) -> bool:
    """Whether a value of ``small`` is one of ``large``."""
    if small is large or small == large or large is ANY:
        return True
    if isinstance(small, TensorType):
        if isinstance(large, TensorType):
            return True
    if isinstance(small, (UnionType, OptionalType)):
        return all(is_subtype(part, large) for part in members(small))
    if isinstance(large, (UnionType, OptionalType)):
        return any(is_subtype(small, part) for part in members(large))
    if large is NUMBER:
        return small in (INT, FLOAT, COMPLEX)
    if isinstance(small, TupleType):
        if large is ANY_TUPLE:
            return True
        return (
            isinstance(large, TupleType)
            and len(small.types) == len(large.types)
            and (not large.name or large.name == small.name)
            and all(is_subtype(a, b) for a, b in zip(small.types, large.types, strict=True))
        )
    if isinstance(small, ListType):
        return large is ANY_LIST or (isinstance(large, ListType) and _same_tensors(small, large))
    if isinstance(small, DictType):
        return isinstance(large, DictType) and _same_tensors(small, large)
    if isinstance(small, FutureType):
        return isinstance(large, FutureType) and is_subtype(small.element, large.element)
    if isinstance(small, EnumType):
        return large is AnyEnumType.get()
    if isinstance(small, (ClassType, InterfaceType)) and isinstance(large, InterfaceType):
        return all(_offers(small, name, wanted) for name, wanted in large.methods.items())
    if isinstance(small, ClassType):
        return large is AnyClassType.get()
    return False


def _same_tensors(small: Type, large: Type) -> bool:
    """Whether two containers differ only in what a trace knows of tensors."""
    parts = zip(small.contained(), large.contained(), strict=True)
    return all(
        a == b
        or (isinstance(a, TensorType) and isinstance(b, TensorType))
        or (type(a) is type(b) and isinstance(a, (ListType, DictType)) and _same_tensors(a, b))
        for a, b in parts
    )


def _offers(kind: ClassType | InterfaceType, name: str, wanted: Any) -> bool:
    found = kind.find_method(name)
    if found is None:
        return False
    has = getattr(found, "schema", found)
    own = has.arguments[1:]
    return (
        len(own) == len(wanted.arguments) - 1
        and all(a.name == b.name and is_subtype(b.type, a.type) for a, b in zip(own, wanted.arguments[1:], strict=True))
        and is_subtype(has.returns, wanted.returns)
    )


def unify(a: Type, b: Type, to_union: bool = False) -> Type | None:
    """The least type that both are of; None if there is none."""
    if is_subtype(a, b):
        return b
    if is_subtype(b, a):
        return a
    if isinstance(a, TensorType) and isinstance(b, TensorType):
        return TENSOR
    if a is NONE and not is_optional(b):
        return OptionalType(b)
    if b is NONE and not is_optional(a):
        return OptionalType(a)
    if isinstance(a, OptionalType) or isinstance(b, OptionalType):
        inner = unify(a.element if isinstance(a, OptionalType) else a, b.element if isinstance(b, OptionalType) else b)
        if inner is not None:
            return optional(inner)
    if isinstance(a, TupleType) and isinstance(b, TupleType) and len(a.types) == len(b.types):
        parts = [unify(x, y) for x, y in zip(a.types, b.types, strict=True)]
        if None not in parts:
            return TupleType(parts)  # type: ignore[arg-type]
    if isinstance(a, FutureType) and isinstance(b, FutureType):
        inner = unify(a.element, b.element)
        if inner is not None:
            return FutureType(inner)
    return union((a, b)) if to_union else None


def unify_all(types: Iterable[Type], default: Type) -> Type | None:
    """The least type of several; ``default`` for none."""
    result: Type | None = None
    for t in types:
        result = t if result is None else unify(result, t)
        if result is None:
            return None
    return default if result is None else result


def mentions(type: Type, wanted: Any) -> bool:
    """Whether a type is of this class or has a part of it."""
    return isinstance(type, wanted) or any(mentions(part, wanted) for part in type.contained())
