"""Small programs whose shown lines are compared with what the reference shows.

A program is a Python file that imports and calls ``show(value, ...)`` and ``attempt(function, *args, **kwargs)``: the
latter shows the result, or the exception's type and message, after the warnings that came before it.
"""

import math
import re
import runpy
import warnings
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
FOLDERS = ("data_programs", "nn_programs")
# Programs that use other people's packages; their warnings are those packages' affair, and come once in a process.
ECOSYSTEM = ("ecosystem_programs",)


def names(folders=FOLDERS):
    """The names of the programs in some folders; without them, of those recorded in programs.json."""
    return sorted(f"{folder}/{path.stem}" for folder in folders for path in (HERE / folder).glob("*.py"))


def render(value):
    """A text of a value: numbers to five digits, tensors with dtype and shape, no addresses."""
    if isinstance(value, torch.Tensor):
        kind = "" if type(value) is torch.Tensor else type(value).__name__ + " "
        dtype = str(value.dtype).removeprefix("torch.")
        if value.device.type != "cpu":
            return f"{kind}{dtype} {list(value.shape)} on {value.device}"
        marks = " with grad" if value.requires_grad else ""
        dense = value.detach().to_dense() if value.layout is not torch.strided else value.detach()
        if dense.is_floating_point() and dense.numel() and float(dense.abs().max()) > 1e-3:
            # What is left of a zero by rounding is another from library to library.
            dense = torch.where(dense.abs() < 2e-6, torch.zeros_like(dense), dense)
        return f"{kind}{dtype} {list(value.shape)} {render(dense.tolist())}{marks}"
    if isinstance(value, bool) or value is None or isinstance(value, (str, int)):
        return repr(value)
    if isinstance(value, float):
        return "0" if value == 0 else f"{value:.5g}"
    if isinstance(value, complex):
        return f"({render(value.real)} {render(value.imag)}j)"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{render(k)}: {render(v)}" for k, v in value.items()) + "}"
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return f"{type(value).__name__}({', '.join(map(render, value))})"
    if isinstance(value, (list, tuple)) and not isinstance(value, torch.Size):
        opening, closing = "[]" if isinstance(value, list) else "()"
        return opening + ", ".join(map(render, value)) + closing
    return plain(repr(value))


def plain(text):
    """A message without addresses and without what is this library's own: hints and file names."""
    text = re.sub(r" at 0x[0-9a-f]+", "", text.split("\nHint: ")[0].split("\nException raised from")[0])
    return re.sub(r"<ipython.*?>|/[\w/.\-]*/", "", text)


_shown: list[str] = []


def show(*values):
    """Add a line with the values: texts as they are, the rest as ``render`` writes it."""
    _shown.append(" ".join(value if isinstance(value, str) else render(value) for value in values))


def attempt(function, *args, **kwargs):
    """Call a function and add a line with its result, or with the exception that it raises."""
    try:
        outcome = render(function(*args, **kwargs))
    except Exception as error:
        outcome = f"{type(error).__name__}: {plain(str(error))}"
    _shown.append(outcome)


def run(name):
    """The lines that a program shows."""
    _shown.clear()

    def warned(message, category, filename, lineno, file=None, line=None):
        if str(message).startswith(
            ("Sparse invariant checks", "LSTM with projections is not", "The PyTorch API of nested")
        ) or name.startswith(ECOSYSTEM):
            return  # once in a process, so by the order of programs; or about parts that PyTorch alone has
        _shown.append(f"  {category.__name__}: {plain(str(message))}")

    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = warned
        try:
            runpy.run_path(str(HERE / f"{name}.py"))
        except Exception as error:
            _shown.append(f"ends with {type(error).__name__}: {plain(str(error))}")
    return list(_shown)


_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.])")


def same(line, other):
    """Whether two lines are the same, their numbers up to rounding."""
    if line == other:
        return True
    if _NUMBER.sub("#", line) != _NUMBER.sub("#", other):
        return False
    pairs = zip(_NUMBER.findall(line), _NUMBER.findall(other), strict=True)
    return all(a == b or math.isclose(float(a), float(b), rel_tol=2e-4, abs_tol=2e-6) for a, b in pairs)
