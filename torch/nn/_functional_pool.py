"""Power-average, fractional and inverse max pooling, and normalisation across channels."""

from __future__ import annotations

import torch
from torch._C._nn import avg_pool1d, avg_pool2d, avg_pool3d, pad

Tensor = torch.Tensor


def _tuple(value, n: int) -> tuple:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * n


def _lp_pool(input: Tensor, norm_type: float, window: int, pool, kernel_size, stride, ceil_mode: bool) -> Tensor:
    powered = input.pow(norm_type)
    if stride is not None:
        out = pool(powered, kernel_size, stride, 0, ceil_mode)
    else:
        out = pool(powered, kernel_size, padding=0, ceil_mode=ceil_mode)
    return (torch.sign(out) * torch.relu(torch.abs(out))).mul(window).pow(1.0 / norm_type)


def lp_pool1d(input: Tensor, norm_type: float, kernel_size, stride=None, ceil_mode: bool = False) -> Tensor:
    """Power-average pooling over one dimension."""
    return _lp_pool(input, norm_type, _tuple(kernel_size, 1)[0], avg_pool1d, kernel_size, stride, ceil_mode)


def lp_pool2d(input: Tensor, norm_type: float, kernel_size, stride=None, ceil_mode: bool = False) -> Tensor:
    """Power-average pooling over two dimensions."""
    kh, kw = _tuple(kernel_size, 2)
    return _lp_pool(input, norm_type, kh * kw, avg_pool2d, kernel_size, stride, ceil_mode)


def lp_pool3d(input: Tensor, norm_type: float, kernel_size, stride=None, ceil_mode: bool = False) -> Tensor:
    """Power-average pooling over three dimensions."""
    kd, kh, kw = _tuple(kernel_size, 3)
    return _lp_pool(input, norm_type, kd * kh * kw, avg_pool3d, kernel_size, stride, ceil_mode)


def _fractional_starts(samples: Tensor, size: int, out: int, window: int) -> Tensor:
    """Return where the windows start, following Graham (2014), section "pseudo-random" regions."""
    if out == 1:
        return torch.full((*samples.shape, 1), size - window, dtype=torch.int64, device=samples.device)
    alpha = torch.tensor((size - window) / (out - 1), dtype=samples.dtype, device=samples.device)
    steps = torch.arange(out, device=samples.device).to(samples.dtype)
    u = samples.unsqueeze(-1)
    starts = ((steps + u) * alpha).to(torch.int64) - (u * alpha).to(torch.int64)
    starts[..., -1] = size - window
    return starts


def _fractional(input: Tensor, n: int, kernel_size, output_size, output_ratio, samples):
    name = f"fractional_max_pool{n}d"
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    if output_size is None:
        ratios = _tuple(output_ratio, n)
        sizes = tuple(int(s * r) for s, r in zip(input.shape[-n:], ratios, strict=True))
    else:
        sizes = _tuple(output_size, n)
    kernel = _tuple(kernel_size, n)
    if len(kernel) != n:
        raise RuntimeError(f"{name}: kernel_size must either be a single Int or tuple of Ints")
    if len(sizes) != n:
        raise RuntimeError(f"{name}: output_size must either be a single Int or tuple of Ints")
    if input.dim() not in (n + 1, n + 2):
        raise RuntimeError(f"{name}: Expected {n + 1}D or {n + 2}D tensor, but got: {list(input.shape)}")
    if any(k <= 0 for k in kernel):
        raise RuntimeError(f"{name}: kernel_size must be greater than zero, but got {kernel}")
    batched = input.dim() == n + 2
    x = input if batched else input.unsqueeze(0)
    if any(s == 0 for s in x.shape[1:]):
        raise RuntimeError(
            f"{name}: Expected input to have non-zero size for non-batch dimensions, but got {list(input.shape)}"
        )
    batch, channels = x.shape[:2]
    space = x.shape[2:]
    if samples is None:
        samples = torch.rand(batch, channels, n, dtype=input.dtype, device=input.device)
    samples = samples[:batch]
    for axis, (size, out, window) in enumerate(zip(space, sizes, kernel, strict=True)):
        if out + window - 1 > size:
            label = ("time", "height", "width")[3 - n + axis]
            place = f"{name}{'_out' if n == 3 else ''}()"
            if n == 3:
                # PyTorch tells the first dimension's numbers whichever one it is.
                label, window, size = "time", kernel[0], space[0]
            raise RuntimeError(f"{place}: pool {label} {window} too large relative to input {label} {size}")
    # The last sample moves the first spatial dimension in 2-d, the first one in 3-d.
    order = range(n) if n == 3 else reversed(range(n))
    index = torch.zeros((batch, channels, *([1] * (2 * n))), dtype=torch.int64, device=x.device)
    stride = 1
    columns = dict(enumerate(order))
    for axis in reversed(range(n)):
        starts = _fractional_starts(samples[:, :, columns[axis]], space[axis], sizes[axis], kernel[axis])
        cells = starts.unsqueeze(-1) + torch.arange(kernel[axis], device=x.device)
        shape = [batch, channels] + [1] * (2 * n)
        shape[2 + axis], shape[2 + n + axis] = sizes[axis], kernel[axis]
        index = index + cells.reshape(shape) * stride
        stride *= space[axis]
    windows = 1
    for k in kernel:
        windows *= k
    places = 1
    for s in sizes:
        places *= s
    index = index.reshape(batch, channels, places * windows)
    taken = x.flatten(2).gather(2, index).reshape(batch, channels, places, windows)
    values, which = taken.max(-1)
    index = index.reshape(batch, channels, places, windows).gather(-1, which.unsqueeze(-1)).squeeze(-1)
    shape = (batch, channels, *sizes)
    values, index = values.reshape(shape), index.reshape(shape)
    return (values, index) if batched else (values.squeeze(0), index.squeeze(0))


def boolean_dispatch(arg_name: str, arg_index: int, default: bool, if_true, if_false, module_name: str, func_name: str):
    """One function for two: ``if_true`` or ``if_false`` by a flag among the arguments."""

    def function(*args, **kwargs):
        flag = args[arg_index] if arg_index < len(args) else kwargs.get(arg_name, default)
        return (if_true if flag else if_false)(*args, **kwargs)

    function.__name__, function.__module__ = func_name or function.__name__, module_name or function.__module__
    function.__doc__ = if_false.__doc__ or if_true.__doc__
    return function


def fractional_max_pool2d_with_indices(
    input: Tensor, kernel_size, output_size=None, output_ratio=None, return_indices: bool = False, _random_samples=None
):
    """``fractional_max_pool2d`` with the positions of the maxima."""
    return _fractional(input, 2, kernel_size, output_size, output_ratio, _random_samples)


def fractional_max_pool3d_with_indices(
    input: Tensor, kernel_size, output_size=None, output_ratio=None, return_indices: bool = False, _random_samples=None
):
    """``fractional_max_pool3d`` with the positions of the maxima."""
    return _fractional(input, 3, kernel_size, output_size, output_ratio, _random_samples)


def _fractional_max_pool2d(
    input: Tensor, kernel_size, output_size=None, output_ratio=None, return_indices: bool = False, _random_samples=None
):
    """Max pooling over windows at random places (Graham, 2014)."""
    return _fractional(input, 2, kernel_size, output_size, output_ratio, _random_samples)[0]


fractional_max_pool2d = boolean_dispatch(
    arg_name="return_indices",
    arg_index=4,
    default=False,
    if_true=fractional_max_pool2d_with_indices,
    if_false=_fractional_max_pool2d,
    module_name="torch.nn.functional",
    func_name="fractional_max_pool2d",
)


def _fractional_max_pool3d(
    input: Tensor, kernel_size, output_size=None, output_ratio=None, return_indices: bool = False, _random_samples=None
):
    """Max pooling over windows at random places (Graham, 2014)."""
    return _fractional(input, 3, kernel_size, output_size, output_ratio, _random_samples)[0]


fractional_max_pool3d = boolean_dispatch(
    arg_name="return_indices",
    arg_index=4,
    default=False,
    if_true=fractional_max_pool3d_with_indices,
    if_false=_fractional_max_pool3d,
    module_name="torch.nn.functional",
    func_name="fractional_max_pool3d",
)


def _unpool_size(input: Tensor, kernel: tuple, stride: tuple, padding: tuple, output_size, n: int) -> list[int]:
    default = [
        (size - 1) * stride[d] + kernel[d] - 2 * padding[d] for d, size in enumerate(input.shape[input.dim() - n :])
    ]
    if output_size is None:
        return default
    output_size = list(output_size)
    if len(output_size) == n + 2:
        output_size = output_size[2:]
    if len(output_size) != n:
        raise ValueError(
            "output_size should be a sequence containing "
            f"{n} or {n + 2} elements, but it has a length of '{len(output_size)}'"
        )
    for d in range(n):
        low, high = default[d] - stride[d], default[d] + stride[d]
        if not low < output_size[d] < high:
            raise ValueError(f'invalid output_size "{list(output_size)}" (dim {d} must be between {low} and {high})')
    return output_size


def _unpool(input: Tensor, indices: Tensor, kernel_size, stride, padding, output_size, n: int) -> Tensor:
    kernel = _tuple(kernel_size, n)
    step = kernel if stride is None else _tuple(stride, n)
    size = _unpool_size(input, kernel, step, _tuple(padding, n), output_size, n)
    if indices.dtype != torch.int64:
        raise RuntimeError(f"elements in indices should be type int64 but got: {indices.dtype}")
    if input.dim() not in (n + 1, n + 2):
        raise RuntimeError(
            f"Input to max_unpooling{n}d should be a {n + 1}d or {n + 2}d Tensor, but got a tensor with {input.dim()} "
            "dimensions."
        )
    if indices.shape != input.shape:
        raise RuntimeError(
            f"Expected shape of indices to be same as that of the input tensor ({list(input.shape)}) but got indices "
            f"tensor with shape: {list(indices.shape)}"
        )
    lead = input.shape[: input.dim() - n]
    cells = 1
    for s in size:
        cells *= s
    index = indices.reshape(*lead, -1)
    if index.numel() and torch._C._vmap_parts(index) is None:
        low, high = int(index.min()), int(index.max())
        if low < 0 or high >= cells:
            bad = low if low < 0 else high
            shown = "x".join(str(s) for s in (size if n > 1 else [1, *size]))
            raise RuntimeError(f"Found an invalid max index: {bad} (output volumes are of size {shown}")
    flat = input.new_zeros((*lead, cells))
    return flat.scatter(-1, index, input.reshape(*lead, -1)).reshape(*lead, *size)


def max_unpool1d(input: Tensor, indices: Tensor, kernel_size, stride=None, padding=0, output_size=None) -> Tensor:
    """Put the maxima of ``max_pool1d`` back at their places, zeros elsewhere."""
    return _unpool(input, indices, kernel_size, stride, padding, output_size, 1)


def max_unpool2d(input: Tensor, indices: Tensor, kernel_size, stride=None, padding=0, output_size=None) -> Tensor:
    """Put the maxima of ``max_pool2d`` back at their places, zeros elsewhere."""
    return _unpool(input, indices, kernel_size, stride, padding, output_size, 2)


def max_unpool3d(input: Tensor, indices: Tensor, kernel_size, stride=None, padding=0, output_size=None) -> Tensor:
    """Put the maxima of ``max_pool3d`` back at their places, zeros elsewhere."""
    return _unpool(input, indices, kernel_size, stride, padding, output_size, 3)


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """Divide by a power of the mean square over neighbouring channels (Krizhevsky et al., 2012)."""
    rank = input.dim()
    if rank < 3:
        gap = " " * 25  # PyTorch's message has it
        raise ValueError(f"Expected 3D or higher dimensionality {gap}input (got {rank} dimensions)")
    if input.numel() == 0:
        return input
    squares = input.mul(input)
    if rank == 3:
        squares = pad(squares.unsqueeze(1), (0, 0, size // 2, (size - 1) // 2))
        mean = avg_pool2d(squares, (size, 1), stride=1).squeeze(1)
    else:
        shape = input.size()
        squares = squares.reshape(shape[0], 1, shape[1], shape[2], -1)
        squares = pad(squares, (0, 0, 0, 0, size // 2, (size - 1) // 2))
        mean = avg_pool3d(squares, (size, 1, 1), stride=1).squeeze(1).reshape(shape)
    return input / mean.mul(alpha).add(k).pow(beta)


__all__ = [
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "fractional_max_pool2d",
    "fractional_max_pool2d_with_indices",
    "fractional_max_pool3d",
    "fractional_max_pool3d_with_indices",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "local_response_norm",
]
