"""torch.summary: the modules of a network with shapes, parameters, operations and memory, measured without memory."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import torch
from torch import _C, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedTensorMixin
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from ._summary_text import html_table, text_table
from .flop_counter import flop_registry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

__all__ = ["LayerSummary", "ModelSummary", "summary"]


@dataclass
class LayerSummary:
    """One module of a :class:`ModelSummary`.

    Attributes:
        path: as in ``named_modules``; ``""`` for the model itself.
        kind: name of the module's class.
        depth: how many modules it lies in.
        output: shapes of what its first call returned, nested as that was; None if it was not called.
        calls: how often it was called.
        parameters, trainable: elements of the parameters in it that no layer before it has. The model's are all.
        shared: elements of the parameters in it that a layer before it has too.
        flops: floating point operations of its calls, forward, those of the modules inside included.
        same_as: path of the same module further up, if it is registered twice.
    """

    path: str
    kind: str
    depth: int
    output: Any = None
    calls: int = 0
    parameters: int = 0
    trainable: int = 0
    shared: int = 0
    flops: int = 0
    same_as: str | None = None


@dataclass
class ModelSummary:
    """What :func:`torch.summary` returns. ``print`` shows it as text, a notebook as a table.

    Attributes:
        layers: one :class:`LayerSummary` for each module, the model itself first.
        parameters, trainable: elements of all parameters, shared ones counted once.
        parameter_bytes, buffer_bytes, input_bytes: what they take.
        flops: floating point operations of one forward pass; backward_flops those of the gradients by all parameters.
        inference_bytes: peak of what lives at one time in a forward pass without gradients: parameters, buffers, inputs
            and all that the operations make.
        training_bytes: the same for a forward and a backward pass, gradients included (optimizers keep more).
        note: what could not be measured, and why.

    Without an input there are no shapes, operations and peaks: those are None.
    """

    layers: list[LayerSummary] = field(default_factory=list)
    parameters: int = 0
    trainable: int = 0
    parameter_bytes: int = 0
    buffer_bytes: int = 0
    input_bytes: int | None = None
    flops: int | None = None
    backward_flops: int | None = None
    inference_bytes: int | None = None
    training_bytes: int | None = None
    note: str = ""
    max_depth: int | None = None

    def __getitem__(self, path: str) -> LayerSummary:
        """The layer with this path."""
        for layer in self.layers:
            if layer.path == path:
                return layer
        raise KeyError(path)

    def __str__(self) -> str:
        return text_table(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(self)


def summary(
    model: nn.Module, input: Any = None, *, kwargs: dict[str, Any] | None = None, dtype: Any = None,
    depth: int | None = None,
) -> ModelSummary:  # fmt: skip
    """Measure a model: its modules as a tree, what they return, parameters, operations and peak memory.

    A copy of the model runs on the meta device, which has shapes and no elements: nothing is computed, nothing of the
    model's size is allocated, and the model, its mode, its gradients and the random numbers stay as they are. A model
    that cannot be copied or that looks at its numbers runs once as it is, without gradients, and its buffers and the
    random numbers are put back; then there is no figure for training, and ``note`` says why. Hooks of the model run.

    Operations are counted as :class:`torch.utils.flop_counter.FlopCounterMode` does: matrix products, convolutions and
    attention, a product and a sum being two.

    Args:
        model: any module. Lazy modules get their parameters in the copy only.
        input: a tensor or a shape (a tuple of int) for a model with one argument; a list or tuple of tensors, shapes
            and other values for several; a dictionary for keyword arguments; None for parameters alone.
        kwargs: further keyword arguments, tensors, shapes or other values.
        dtype: of inputs given by shape, or a list with one for each such shape. Default: int64 if the model's first
            layer is an embedding, else the dtype of its first floating parameter.
        depth: how deep the tree is shown; all layers are in the result.

    Raises:
        TypeError: if ``model`` is no module.
        Exception: what ``model`` itself raises for these inputs.

    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> result = torch.summary(model, (3, 4))
    >>> result.parameters, result.flops, result["2"].output
    (58, 288, torch.Size([3, 2]))
    >>> print(result)
    layer         output  parameters  FLOPs
    ---------------------------------------
    Sequential    [3, 2]          58    288
    ├─ 0: Linear  [3, 8]          40    192
    ├─ 1: ReLU    [3, 8]           0      0
    └─ 2: Linear  [3, 2]          18     96
    ---------------------------------------
    parameters: 58 (58 trainable), 232 bytes; buffers: 0 bytes; input: 48 bytes
    FLOPs: 288 forward, 384 backward
    peak memory: 472 bytes for inference, 672 bytes for training
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"summary: model must be a torch.nn.Module, but is a {type(model).__name__}")
    result = ModelSummary(max_depth=depth)
    given = input is not None or bool(kwargs)
    args, keywords = _inputs(model, input, kwargs, dtype) if given else ((), {})
    state = torch.get_rng_state()
    try:
        counted = _on_meta(model, args, keywords, result) if given else None
        if given and counted is None:
            counted = _as_it_is(model, args, keywords, result)
    finally:
        torch.set_rng_state(state)
    measured, calls = counted or (model, {})
    _count_parameters(measured, calls, result)
    if given:
        result.input_bytes = _bytes(_tensors((args, keywords)))
    lazy = sum(isinstance(p, UninitializedTensorMixin) for p in measured.parameters())
    if lazy:
        result.note = f"{lazy} lazy parameters have no shape yet: give an input"
    return result


# ---- inputs ---------------------------------------------------------------------------------------------------------


class _Shape:
    """An input that is known by its shape; the dtype is settled later."""

    def __init__(self, sizes: Iterable[int]) -> None:
        self.sizes = tuple(sizes)


def _is_shape(value: Any) -> bool:
    return isinstance(value, (tuple, list, torch.Size)) and bool(value) and all(type(size) is int for size in value)


def _marked(value: Any) -> Any:
    return _Shape(value) if _is_shape(value) else value


def _inputs(model: nn.Module, input: Any, kwargs: dict[str, Any] | None, dtype: Any) -> tuple[tuple, dict[str, Any]]:
    """Arguments and keyword arguments, shapes as tensors on the meta device."""
    keywords = dict(kwargs or {})
    if isinstance(input, dict):
        keywords = {**input, **keywords}
        positional: list[Any] = []
    elif input is None:
        positional = []
    elif type(input) in (tuple, list) and not _is_shape(input):
        positional = [_marked(one) for one in input]
    else:
        positional = [_marked(input)]
    keywords = {name: _marked(value) for name, value in keywords.items()}
    dtypes = iter(dtype) if isinstance(dtype, (tuple, list)) else None

    def made(value: Any) -> Any:
        if not isinstance(value, _Shape):
            return value
        chosen = next(dtypes, None) if dtypes else dtype
        return torch.empty(value.sizes, dtype=chosen or _usual_dtype(model), device="meta")

    return tuple(made(one) for one in positional), {name: made(value) for name, value in keywords.items()}


def _usual_dtype(model: nn.Module) -> torch.dtype:
    first = next((m for m in model.modules() if not any(True for _ in m.children())), None)
    if isinstance(first, (nn.Embedding, nn.EmbeddingBag)):
        return torch.int64
    floating = (p.dtype for p in model.parameters() if p.is_floating_point())
    return next(floating, torch.get_default_dtype())


def _tensors(values: Any) -> list[torch.Tensor]:
    return [leaf for leaf in pytree.tree_leaves(values) if isinstance(leaf, torch.Tensor)]


def _bytes(tensors: Iterable[torch.Tensor]) -> int:
    """What distinct tensors take; lazy ones have no size yet."""
    distinct = {id(t): t for t in tensors if not isinstance(t, UninitializedTensorMixin)}
    return sum(t.numel() * t.element_size() for t in distinct.values())


# ---- runs -----------------------------------------------------------------------------------------------------------


class _Calls:
    """What the calls of one module came to."""

    def __init__(self) -> None:
        self.count, self.flops = 0, 0
        self.output: Any = None


class _Count(TorchDispatchMode):
    """Counts operations for the modules whose calls are under way."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[int, _Calls] = {}
        self.stack: list[_Calls] = []
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            count = formula(*args, **kwargs, out_val=out)
            self.total += count
            for calls in {id(calls): calls for calls in self.stack}.values():
                calls.flops += count
        return out

    def hook(self, model: nn.Module) -> list[Any]:
        """Follow the calls of all modules; the handles that end it."""
        handles = []
        for module in model.modules():
            calls = self.calls[id(module)] = _Calls()

            def enter(module: nn.Module, args: Any, calls: _Calls = calls) -> None:
                self.stack.append(calls)

            def leave(module: nn.Module, args: Any, output: Any, calls: _Calls = calls) -> None:
                self.stack.pop()
                if not calls.count:
                    calls.output = _shapes(output)
                calls.count += 1

            handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
        return handles


def _shapes(value: Any) -> Any:
    """Shapes in place of tensors; values that hold none are left out."""
    if isinstance(value, torch.Tensor):
        return value.shape
    if isinstance(value, (tuple, list)):
        parts = [shapes for one in value if (shapes := _shapes(one)) is not None]
        return tuple(parts) or None
    if isinstance(value, dict):
        return {key: shapes for key, one in value.items() if (shapes := _shapes(one)) is not None} or None
    leaves = [leaf.shape for leaf in _tensors(value)] or [
        part.shape for part in getattr(value, "__dict__", {}).values() if isinstance(part, torch.Tensor)
    ]
    return tuple(leaves) or None


def _held(value: Any, depth: int = 4) -> Iterator[torch.Tensor]:
    """Tensors among a module's attributes."""
    if isinstance(value, torch.Tensor):
        yield value
    elif depth and isinstance(value, (tuple, list, set)):
        for one in value:
            yield from _held(one, depth - 1)
    elif depth and isinstance(value, dict):
        for one in value.values():
            yield from _held(one, depth - 1)


def _meta_copy(model: nn.Module) -> nn.Module:
    """The model over tensors without elements. What it holds otherwise is copied."""
    memo: dict[int, Any] = {}
    for module in model.modules():
        for tensor in _held(vars(module)):
            if id(tensor) not in memo:
                memo[id(tensor)] = _meta_tensor(tensor)
    return copy.deepcopy(model, memo)


def _meta_tensor(tensor: torch.Tensor) -> torch.Tensor:
    if isinstance(tensor, UninitializedTensorMixin):
        if isinstance(tensor, UninitializedBuffer):
            return UninitializedBuffer(False, "meta", tensor.dtype)
        return type(tensor)(tensor.requires_grad, "meta", tensor.dtype)
    plain = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(plain, tensor.requires_grad)
    if isinstance(tensor, nn.Buffer):
        return nn.Buffer(plain, getattr(tensor, "persistent", True))
    return plain.requires_grad_(tensor.requires_grad)


def _meta_inputs(values: Any) -> Any:
    def made(tensor: torch.Tensor) -> torch.Tensor:
        return _meta_tensor(tensor.detach()).requires_grad_(tensor.requires_grad)

    return pytree.tree_map_only(torch.Tensor, made, values)


def _on_meta(
    model: nn.Module, args: tuple, kwargs: dict[str, Any], result: ModelSummary
) -> tuple[nn.Module, dict[int, _Calls]] | None:
    """Measure copies on the meta device; None, and a note, if that does not work with this model."""
    try:
        with torch.device("meta"):
            copied, count = _meta_copy(model), _Count()
            inputs = _meta_inputs((args, kwargs))
            handles = count.hook(copied)
            with torch.no_grad(), count:
                copied(*inputs[0], **inputs[1])
            for handle in handles:
                handle.remove()
            result.flops = count.total
            result.inference_bytes, _ = _peak(model, args, kwargs, False)
            if any(p.requires_grad for p in model.parameters()):
                _train(model, args, kwargs, result)
        return copied, count.calls
    except Exception as error:
        result.note = f"measured on real memory, since the model does not run on the meta device: {_first_line(error)}"
        result.flops = result.inference_bytes = result.training_bytes = result.backward_flops = None
        if any(t.is_meta for t in _held([*model.parameters(), *model.buffers()])):
            raise  # there are no numbers to run it on
        return None


def _first_line(error: Exception) -> str:
    line = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    return line if len(line) <= 160 else f"{line[:157]}..."


def _train(model: nn.Module, args: tuple, kwargs: dict[str, Any], result: ModelSummary) -> None:
    try:
        result.training_bytes, count = _peak(model, args, kwargs, True)
        result.backward_flops = count
    except Exception as error:
        result.note = f"no figures for training: {_first_line(error)}"


def _peak(model: nn.Module, args: tuple, kwargs: dict[str, Any], training: bool) -> tuple[int, int | None]:
    """The most bytes that live at one time; while training also the operations of the backward pass."""
    before = _C._memory_stats()["meta_allocated"]
    _C._reset_peak_memory()
    copied = _meta_copy(model)
    inputs = _meta_inputs((args, kwargs))
    with torch.set_grad_enabled(training):
        output = copied(*inputs[0], **inputs[1])
    flops = None
    if training:
        # the operations are counted in a run of their own: watching them changes how some layers run
        loss, parameters = _loss(output), [p for p in copied.parameters() if p.requires_grad]
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    peak = _C._memory_stats()["meta_peak"] - before
    if training:
        del gradients, loss, output
        count = _Count()
        with count:
            loss = _loss(copied(*inputs[0], **inputs[1]))
            forward = count.total
            torch.autograd.grad(loss, parameters, allow_unused=True)
        flops = count.total - forward
    return peak, flops


def _loss(output: Any) -> torch.Tensor:
    parts = [t for t in _tensors(output) or list(_held(getattr(output, "__dict__", {}))) if t.requires_grad]
    if not parts:
        raise RuntimeError("no output requires grad")
    return torch.stack([part.abs().sum() if part.is_complex() else part.sum() for part in parts]).sum()


def _as_it_is(
    model: nn.Module, args: tuple, kwargs: dict[str, Any], result: ModelSummary
) -> tuple[nn.Module, dict[int, _Calls]]:
    """Run the model itself once, and put back what that has changed."""
    if any(isinstance(t, UninitializedTensorMixin) for t in (*model.parameters(), *model.buffers())):
        model = copy.deepcopy(model)
    inputs = pytree.tree_map_only(
        torch.Tensor, lambda t: torch.zeros(t.shape, dtype=t.dtype) if t.is_meta else t.detach().clone(), (args, kwargs)
    )
    modules = list(model.modules())
    buffers = [(b, b.clone()) for b in model.buffers() if not isinstance(b, UninitializedTensorMixin)]
    attributes = [(m, dict(vars(m)), {k: dict(v) for k, v in vars(m).items() if isinstance(v, dict)}) for m in modules]
    count = _Count()
    handles = count.hook(model)
    held = _C._memory_stats()["allocated"]
    _C._reset_peak_memory()
    try:
        with torch.no_grad(), count:
            model(*inputs[0], **inputs[1])
        made = _C._memory_stats()["peak"] - held
    finally:
        for handle in handles:
            handle.remove()
        with torch.no_grad():
            for buffer, kept in buffers:
                if not torch.equal(buffer, kept):
                    buffer.copy_(kept)
        for module, values, tables in attributes:
            vars(module).clear()
            vars(module).update(values)
            for name, table in tables.items():
                values[name].clear()
                values[name].update(table)
    result.flops = count.total
    result.inference_bytes = made + _bytes((*model.parameters(), *model.buffers(), *_tensors(inputs)))
    return model, count.calls


# ---- counts ---------------------------------------------------------------------------------------------------------


def _count_parameters(model: nn.Module, calls: dict[int, _Calls], result: ModelSummary) -> None:
    seen_modules: dict[int, str] = {}
    seen: set[int] = set()

    def visit(module: nn.Module, path: str, depth: int) -> tuple[int, int, set[int]]:
        """New parameters, how many of them train, and the identities of all."""
        called = calls.get(id(module), _Calls())
        layer = LayerSummary(path, module._get_name(), depth, called.output, called.count, flops=called.flops)
        result.layers.append(layer)
        if id(module) in seen_modules:
            layer.same_as = seen_modules[id(module)]
            layer.flops = layer.calls = 0
            layer.shared = _elements(module.parameters())
            return 0, 0, {id(p) for p in module.parameters()}
        seen_modules[id(module)] = path
        every: set[int] = set()
        for p in module._parameters.values():
            if p is None or id(p) in every:
                continue
            every.add(id(p))
            if id(p) not in seen:
                seen.add(id(p))
                layer.parameters += _elements([p])
                layer.trainable += _elements([p]) * p.requires_grad
        for name, child in module._modules.items():
            if child is None:
                continue
            new, trainable, inside = visit(child, f"{path}.{name}" if path else name, depth + 1)
            layer.parameters += new
            layer.trainable += trainable
            every |= inside
        layer.shared = _elements(module.parameters()) - layer.parameters
        return layer.parameters, layer.trainable, every

    visit(model, "", 0)
    result.parameters, result.trainable = result.layers[0].parameters, result.layers[0].trainable
    result.parameter_bytes = _bytes(model.parameters())
    result.buffer_bytes = _bytes(model.buffers())


def _elements(tensors: Iterable[torch.Tensor]) -> int:
    return sum(t.numel() for t in tensors if not isinstance(t, UninitializedTensorMixin))


summary.__module__ = "torch"
LayerSummary.__module__ = ModelSummary.__module__ = "torch.utils"
