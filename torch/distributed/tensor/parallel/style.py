"""Ways to cut a layer. Shoeybi et al., "Megatron-LM", 2019."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn
from torch.distributed.tensor import DTensor, Placement, Replicate, Shard, distribute_module, distribute_tensor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from torch.distributed.device_mesh import DeviceMesh

__all__ = [
    "ColwiseParallel",
    "ParallelStyle",
    "PrepareModuleInput",
    "PrepareModuleInputOutput",
    "PrepareModuleOutput",
    "RowwiseParallel",
    "SequenceParallel",
]


class ParallelStyle(ABC):
    """How a module is cut, and what goes in and comes out."""

    src_data_rank: int | None = 0

    @abstractmethod
    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module: ...


def _laid(value: Any, mesh: DeviceMesh, now: Placement | None, wanted: Placement | None) -> Any:
    """A value as a distributed tensor that lies as wanted."""
    if isinstance(value, torch.Tensor) and not isinstance(value, DTensor) and now is not None:
        value = DTensor.from_local(value, mesh, (now,))
    if isinstance(value, DTensor) and wanted is not None and value.placements != (wanted,):
        value = value.redistribute(placements=(wanted,))
    return value


class _CutLayer(ParallelStyle):
    """A linear layer or an embedding whose weight is cut along one dimension."""

    desired_input: Placement

    def __init__(
        self,
        *,
        input_layouts: Placement | None = None,
        output_layouts: Placement | None = None,
        use_local_output: bool = True,
    ) -> None:
        self.input_layouts = (input_layouts or self._default_input(),)
        self.output_layouts = (output_layouts or self._default_output(),)
        self.use_local_output = use_local_output

    def _default_input(self) -> Placement:
        return Replicate()

    def _default_output(self) -> Placement:
        return Replicate()

    def _cuts(self, module: nn.Module) -> dict[str, Placement]:
        raise NotImplementedError

    def _wanted_input(self, module: nn.Module) -> Placement:
        return Replicate()

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        if not isinstance(module, (nn.Linear, nn.Embedding)):
            raise NotImplementedError(f"{type(self).__name__} currently only support nn.Linear and nn.Embedding!")
        cuts, wanted = self._cuts(module), self._wanted_input(module)

        def cut(name: str, part: nn.Module, mesh: DeviceMesh) -> None:
            for key, param in list(part._parameters.items()):
                if param is not None:
                    spread = distribute_tensor(param.detach(), mesh, [cuts[key]], src_data_rank=self.src_data_rank)
                    part.register_parameter(key, nn.Parameter(spread, param.requires_grad))

        def inputs(part: nn.Module, given: Any, mesh: DeviceMesh) -> Any:
            return (_laid(given[0], mesh, self.input_layouts[0], wanted), *given[1:])

        def output(part: nn.Module, result: Any, mesh: DeviceMesh) -> Any:
            result = result.redistribute(placements=self._resolved(result))
            return result.to_local() if self.use_local_output else result

        return distribute_module(module, device_mesh, cut, inputs, output)

    def _resolved(self, result: DTensor) -> tuple[Placement, ...]:
        (place,) = self.output_layouts
        return (Shard(place.dim + result.dim()),) if isinstance(place, Shard) and place.dim < 0 else (place,)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(input_layouts={self.input_layouts}, output_layouts={self.output_layouts}, "
            f"use_local_output={self.use_local_output})"
        )


class ColwiseParallel(_CutLayer):
    """A linear layer's outputs, or an embedding's features, are cut: whole inputs give pieces of the last dimension."""

    def _default_output(self) -> Placement:
        return Shard(-1)

    def _cuts(self, module: nn.Module) -> dict[str, Placement]:
        return {"weight": Shard(1)} if isinstance(module, nn.Embedding) else {"weight": Shard(0), "bias": Shard(0)}


class RowwiseParallel(_CutLayer):
    """A linear layer's inputs, or an embedding's words, are cut: pieces of the last dimension give sums."""

    def _default_input(self) -> Placement:
        return Shard(-1)

    def _wanted_input(self, module: nn.Module) -> Placement:
        return Replicate() if isinstance(module, nn.Embedding) else Shard(-1)

    def _cuts(self, module: nn.Module) -> dict[str, Placement]:
        return {"weight": Shard(0)} if isinstance(module, nn.Embedding) else {"weight": Shard(1), "bias": Replicate()}


class SequenceParallel(ParallelStyle):
    """A module without mixing along the sequence (a norm, dropout) works on pieces of it; its weights are whole."""

    def __init__(self, *, sequence_dim: int = 1, use_local_output: bool = False) -> None:
        self.sequence_sharding = (Shard(sequence_dim),)
        self.use_local_output = use_local_output

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        def inputs(part: nn.Module, given: Any, mesh: DeviceMesh) -> Any:
            (place,) = self.sequence_sharding
            return (_laid(given[0], mesh, place, place), *given[1:])

        def output(part: nn.Module, result: Any, mesh: DeviceMesh) -> Any:
            return result.to_local() if self.use_local_output else result

        def whole(name: str, part: nn.Module, mesh: DeviceMesh) -> None:
            for key, param in list(part._parameters.items()):
                if param is not None:
                    spread = DTensor.from_local(param.detach(), mesh, [Replicate()], run_check=False)
                    part.register_parameter(key, nn.Parameter(spread, param.requires_grad))

        return distribute_module(module, device_mesh, whole, inputs, output)


def _several(layouts: Any) -> tuple[Any, ...] | None:
    return (layouts,) if isinstance(layouts, Placement) else layouts


def _each(values: Any, now: Any, wanted: Any, mesh: DeviceMesh, local: bool) -> Any:
    single = not isinstance(values, tuple)
    given = (values,) if single else values
    if len(given) != len(now):
        raise ValueError("module inputs and input_layouts should have same length!")
    found = []
    for value, have, want in zip(given, now, wanted, strict=True):
        value = _laid(value, mesh, have, want) if have is not None else value
        found.append(value.to_local() if local and isinstance(value, DTensor) else value)
    return found[0] if single else tuple(found)


class PrepareModuleInput(ParallelStyle):
    """What goes into a module, made a distributed tensor that lies as desired."""

    def __init__(
        self,
        *,
        input_layouts: Any = None,
        desired_input_layouts: Any = None,
        input_kwarg_layouts: dict[str, Placement] | None = None,
        desired_input_kwarg_layouts: dict[str, Placement] | None = None,
        use_local_output: bool = False,
    ) -> None:
        self.input_layouts = _several(input_layouts)
        self.desired_input_layouts = _several(desired_input_layouts)
        self.use_local_output = use_local_output
        self.input_kwarg_layouts = input_kwarg_layouts or {}
        self.desired_input_kwarg_layouts = desired_input_kwarg_layouts or {}
        if self.input_layouts is not None:
            if self.desired_input_layouts is None:
                raise AssertionError("desired module inputs should not be None!")
            if len(self.input_layouts) != len(self.desired_input_layouts):
                raise AssertionError("input_layouts and desired_input_layouts should have same length!")
        if self.input_kwarg_layouts.keys() != self.desired_input_kwarg_layouts.keys():
            raise AssertionError("input_kwarg_layouts and desired_input_kwarg_layouts should have the same names!")

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        def before(part: nn.Module, args: Any, kwargs: Any) -> Any:
            if self.input_layouts is not None:
                args = _each(
                    tuple(args), self.input_layouts, self.desired_input_layouts, device_mesh, self.use_local_output
                )
            laid = dict(kwargs)
            for name, place in self.input_kwarg_layouts.items():
                if name in laid:
                    wanted = self.desired_input_kwarg_layouts[name]
                    laid[name] = _each(laid[name], (place,), (wanted,), device_mesh, self.use_local_output)
            return args, laid

        module.register_forward_pre_hook(before, with_kwargs=True)
        return module


class PrepareModuleOutput(ParallelStyle):
    """What comes out of a module, made to lie as desired."""

    def __init__(self, *, output_layouts: Any, desired_output_layouts: Any, use_local_output: bool = True) -> None:
        self.output_layouts = _several(output_layouts)
        self.desired_output_layouts = _several(desired_output_layouts)
        self.use_local_output = use_local_output
        if len(self.output_layouts or ()) != len(self.desired_output_layouts or ()):
            raise AssertionError("output_layouts and desired_output_layouts should have same length!")

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        module.register_forward_hook(
            lambda part, inputs, outputs: _each(
                outputs, self.output_layouts, self.desired_output_layouts, device_mesh, self.use_local_output
            )
        )
        return module


class PrepareModuleInputOutput(ParallelStyle):
    """``PrepareModuleInput`` and ``PrepareModuleOutput`` together."""

    def __init__(
        self,
        *,
        input_layouts: Any = None,
        desired_input_layouts: Any = None,
        input_kwarg_layouts: dict[str, Placement] | None = None,
        desired_input_kwarg_layouts: dict[str, Placement] | None = None,
        use_local_input: bool = False,
        output_layouts: Any,
        desired_output_layouts: Any,
        use_local_output: bool = True,
    ) -> None:
        self.prepare_module_input = PrepareModuleInput(
            input_layouts=input_layouts,
            desired_input_layouts=desired_input_layouts,
            input_kwarg_layouts=input_kwarg_layouts,
            desired_input_kwarg_layouts=desired_input_kwarg_layouts,
            use_local_output=use_local_input,
        )
        self.prepare_module_output = PrepareModuleOutput(
            output_layouts=output_layouts,
            desired_output_layouts=desired_output_layouts,
            use_local_output=use_local_output,
        )

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        self.prepare_module_input._apply(module, device_mesh)
        return self.prepare_module_output._apply(module, device_mesh)
