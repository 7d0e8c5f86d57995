"""Tensors of random sizes and layouts, to time an operation on many of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch


class ParameterAlias:
    """A value that stands for that of another parameter."""

    def __init__(self, alias_to: str) -> None:
        self.alias_to = alias_to

    def __repr__(self) -> str:
        return f"ParameterAlias[alias_to: {self.alias_to}]"


class FuzzedParameter:
    """A number that is drawn anew for each round.

    Args:
        name: under which tensors and constraints find it.
        minval, maxval: the range, both included; whole numbers if these are.
        distribution: ``"uniform"``, ``"loguniform"``, or a dictionary of values and their probabilities, which are
            brought to a sum of 1. Values may be ``ParameterAlias``.
        strict: the probabilities have to sum to 1 as they are.

    Raises AssertionError for another distribution, and for probabilities that do not fit.
    """

    def __init__(
        self, name: str, minval: float | None = None, maxval: float | None = None,
        distribution: str | dict[Any, float] | None = None, strict: bool = False,
    ) -> None:  # fmt: skip
        self._name, self._minval, self._maxval, self.strict = name, minval, maxval, strict
        if isinstance(distribution, dict):
            total = sum(distribution.values())
            if total <= 0 or min(distribution.values()) < 0 or (strict and abs(total - 1) > 1e-5):
                raise AssertionError("Distribution is not normalized")
            self._distribution: Any = {value: share / total for value, share in distribution.items()}
        elif distribution in ("uniform", "loguniform"):
            if minval is None or maxval is None:
                raise AssertionError(f"{distribution} needs minval and maxval")
            self._distribution = distribution
        else:
            raise AssertionError(f"Unknown distribution: {distribution}")

    @property
    def name(self) -> str:
        return self._name

    def sample(self, state: Any) -> Any:
        """A value, drawn by a ``numpy.random.RandomState``."""
        if isinstance(self._distribution, dict):
            values = list(self._distribution)
            return values[int(state.choice(len(values), p=list(self._distribution.values())))]
        low, high = self._minval, self._maxval
        assert low is not None and high is not None
        if self._distribution == "loguniform":
            drawn = int(2 ** state.uniform(low=math.log2(low), high=math.log2(high)))
            return min(max(drawn, low), high)
        if isinstance(low, int) and isinstance(high, int):
            return int(state.randint(low=low, high=high + 1))
        return state.uniform(low=low, high=high)


class FuzzedTensor:
    """A tensor whose sizes are parameters.

    Args:
        name: of the tensor.
        size: numbers and names of parameters.
        steps: of a slice in each dimension, by which the tensor is not contiguous.
        probability_contiguous: of dimensions that lie in their own order; otherwise they are shuffled.
        min_elements, max_elements, max_allocation_bytes: what is outside is drawn again.
        dim_parameter: the parameter that says how many dimensions there are.
        roll_parameter: the parameter by which the dimensions' order is rotated, instead of being shuffled.
        dtype, tensor_constructor: what is made: random numbers by default.
        cuda: has to be False.
    """

    def __init__(
        self, name: str, size: tuple[str | int, ...], steps: tuple[str | int, ...] | None = None,
        probability_contiguous: float = 0.5, min_elements: int | None = None, max_elements: int | None = None,
        max_allocation_bytes: int | None = None, dim_parameter: str | None = None, roll_parameter: str | None = None,
        dtype: Any = torch.float32, cuda: bool = False, tensor_constructor: Callable[..., Any] | None = None,
    ) -> None:  # fmt: skip
        if cuda:
            raise AssertionError("Torch not compiled with CUDA enabled")
        self._name, self._size, self._steps = name, size, steps
        self._probability_contiguous, self._roll = probability_contiguous, roll_parameter
        self._min_elements, self._max_elements = min_elements, max_elements
        self._max_bytes, self._dim_parameter, self._dtype = max_allocation_bytes, dim_parameter, dtype
        self._constructor = tensor_constructor or self.default_tensor_constructor

    @property
    def name(self) -> str:
        return self._name

    @staticmethod
    def default_tensor_constructor(size: Any, dtype: Any, **kwargs: Any) -> Any:
        """Numbers from 0 to 1, or integers from 0 to 126."""
        if dtype.is_floating_point or dtype.is_complex:
            return torch.rand(size=size, dtype=dtype)
        return torch.randint(0, 2 if dtype == torch.bool else 127, size=size, dtype=dtype)

    def _layout(self, params: dict[str, Any]) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Sizes, steps, and the sizes of what is sliced."""

        def resolved(values: tuple[Any, ...]) -> tuple[int, ...]:
            values = tuple(params.get(value, value) if isinstance(value, str) else value for value in values)
            return values if self._dim_parameter is None else values[: params[self._dim_parameter]]

        size = resolved(self._size)
        steps = resolved(self._steps or (1,) * len(self._size))
        return size, steps, tuple(n * step for n, step in zip(size, steps, strict=True))

    def satisfies_constraints(self, params: dict[str, Any]) -> bool:
        """Whether these values make a tensor within the limits."""
        size, _, allocated = self._layout(params)
        count, itemsize = math.prod(size), torch.empty(0, dtype=self._dtype).element_size()
        return not (
            (self._max_bytes is not None and math.prod(allocated) * itemsize > self._max_bytes)
            or (self._min_elements is not None and count < self._min_elements)
            or (self._max_elements is not None and count > self._max_elements)
        )

    def _make_tensor(self, params: dict[str, Any], state: Any) -> tuple[Any, dict[str, Any]]:
        import numpy as np

        size, steps, allocated = self._layout(params)
        raw = self._constructor(size=allocated, dtype=self._dtype, **params)
        dims = len(size)
        order = np.arange(dims)
        if self._roll is not None:
            order = np.roll(order, params[self._roll])
        elif state.rand() > self._probability_contiguous:
            while dims > 1 and (order == np.arange(dims)).all():
                order = state.permutation(dims)
        if dims > 1:
            raw = raw.permute(tuple(order.tolist())).contiguous().permute(tuple(np.argsort(order).tolist()))
        made = raw[tuple(slice(0, n * step, step) for n, step in zip(size, steps, strict=True))]
        properties = {
            "numel": int(made.numel()), "order": order, "steps": steps, "is_contiguous": made.is_contiguous(),
            "dtype": str(self._dtype),
        }  # fmt: skip
        return made, properties


class FuzzedSparseTensor(FuzzedTensor):
    """A sparse tensor whose sizes are parameters; see ``FuzzedTensor``.

    Args:
        sparse_dim: the parameter, or number, of sparse dimensions.
        nnz: the parameter, or number, of entries.
        density: the parameter, or number, of the share of entries that are there, unless ``nnz`` is given.
        coalesced: the parameter, or whether entries are sorted and occur once.
    """

    def __init__(
        self, name: str, size: tuple[str | int, ...], min_elements: int | None = None, max_elements: int | None = None,
        dim_parameter: str | None = None, sparse_dim: str | None = None, nnz: str | None = None,
        density: str | None = None, coalesced: str | None = None, dtype: Any = torch.float32, cuda: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(
            name, size, min_elements=min_elements, max_elements=max_elements, dim_parameter=dim_parameter, dtype=dtype,
            cuda=cuda,
        )  # fmt: skip
        self._sparse_dim, self._nnz, self._density, self._coalesced = sparse_dim, nnz, density, coalesced

    @staticmethod
    def sparse_tensor_constructor(
        size: Any, dtype: Any, sparse_dim: int, nnz: int, is_coalesced: bool, state: Any = None
    ) -> Any:
        """Entries at random places of the first ``sparse_dim`` dimensions."""
        sizes = torch.tensor(size[:sparse_dim], dtype=torch.float64)
        places = (torch.rand(sparse_dim, nnz, dtype=torch.float64) * sizes[:, None]).long()
        values = FuzzedTensor.default_tensor_constructor((nnz, *size[sparse_dim:]), dtype)
        made = torch.sparse_coo_tensor(places, values, size)
        return made.coalesce() if is_coalesced else made

    def _make_tensor(self, params: dict[str, Any], state: Any) -> tuple[Any, dict[str, Any]]:
        def resolved(value: Any, default: Any) -> Any:
            found = params.get(value, value) if isinstance(value, str) else value
            return default if found is None else found

        size, _, _ = self._layout(params)
        sparse_dim = min(resolved(self._sparse_dim, len(size)), len(size))
        places = math.prod(size[:sparse_dim])
        count = resolved(self._nnz, None)
        if count is None:
            count = math.ceil(places * resolved(self._density, 0.1))
        coalesced = bool(resolved(self._coalesced, False))
        made = self.sparse_tensor_constructor(size, self._dtype, sparse_dim, count, coalesced)
        properties = {
            "numel": int(made.numel()), "shape": made.size(), "is_coalesced": made.is_coalesced(),
            "density": count / places if places else 0.0, "sparsity": 1 - count / places if places else 1.0,
            "sparse_dim": made.sparse_dim(), "dense_dim": made.dense_dim(), "is_hybrid": made.dense_dim() > 0,
            "dtype": str(self._dtype),
        }  # fmt: skip
        return made, properties


class Fuzzer:
    """Draws parameters and makes tensors of them.

    Args:
        parameters, tensors: lists, which may have lists in them.
        constraints: functions of the parameters' values; what does not satisfy all is drawn again.
        seed: of the draws.

    >>> from torch.utils.benchmark import FuzzedParameter, FuzzedTensor, Fuzzer
    >>> fuzzer = Fuzzer([FuzzedParameter("n", 1, 8, "uniform")], [FuzzedTensor("x", size=("n", 2))], seed=0)
    >>> for tensors, properties, params in fuzzer.take(2):
    ...     print(tensors["x"].shape == (params["n"], 2))
    True
    True
    """

    def __init__(
        self, parameters: list[Any], tensors: list[Any], constraints: list[Callable[..., Any]] | None = None,
        seed: int | None = None,
    ) -> None:  # fmt: skip
        import numpy as np

        self._seed = seed if seed is not None else int(np.random.RandomState().randint(0, 2**32 - 1, dtype=np.int64))
        self._parameters, self._tensors = _flat(parameters), _flat(tensors)
        names = [one.name for one in (*self._parameters, *self._tensors)]
        if len(set(names)) != len(names):
            raise ValueError("Parameter and tensor names must be unique.")
        self._constraints = constraints or []
        self._generated = self._rejected = 0

    def take(self, n: int) -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
        """``n`` rounds of (tensors, what is known of them, parameters), each by name."""
        import numpy as np

        state = np.random.RandomState(self._seed)
        # the tensors' elements follow from the seed too
        torch.manual_seed(int(state.randint(low=0, high=2**63, dtype=np.int64)))
        for _ in range(n):
            params = self._generate(state)
            tensors, properties = {}, {}
            for one in self._tensors:
                tensors[one.name], properties[one.name] = one._make_tensor(params, state)
            yield tensors, properties, params

    @property
    def rejection_rate(self) -> float:
        """How many of the draws did not satisfy the constraints."""
        return self._rejected / self._generated if self._generated else 0.0

    def _generate(self, state: Any) -> dict[str, Any]:
        for _ in range(1000):
            self._generated += 1
            params = {one.name: one.sample(state) for one in self._parameters}
            params = {k: params[v.alias_to] if isinstance(v, ParameterAlias) else v for k, v in params.items()}
            if all(rule(params) for rule in self._constraints) and all(
                one.satisfies_constraints(params) for one in self._tensors
            ):
                return params
            self._rejected += 1
        raise ValueError("Failed to generate a set of valid parameters.")


def _flat(items: list[Any]) -> list[Any]:
    return [one for item in items for one in (item if isinstance(item, (list, tuple)) else [item])]
