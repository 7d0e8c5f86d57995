"""What the examples share: arguments, seed and dtype, the progress bar, the record of losses, pictures, the verdict.

An example defines ``main(run)`` and ends with ``sys.exit(launch(main))``. Its ``main`` says how many steps there will
be (:meth:`Run.start`), hands over the loss of each optimiser step (:meth:`Run.step`), and says at the end what it
reached (:meth:`Run.check`). The model, the data and the training loop stand in the example itself.
"""

import argparse
import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from tqdm import tqdm

import torch


class EnoughSteps(Exception):
    """The number of steps that ``--steps`` asks for is done; raised by :meth:`Run.step`, caught by :func:`launch`."""


class Run:
    """One run of an example.

    ``dtype`` is what the data should have (the default dtype is the same), ``seed`` what NumPy's generators may be
    seeded with (torch's has been), ``out`` the folder for pictures, ``losses`` what the steps so far gave.
    """

    def __init__(self, arguments: argparse.Namespace):
        self.out: Path = arguments.out
        self.seed: int = arguments.seed
        self.dtype: torch.dtype = getattr(torch, arguments.dtype)
        self.losses: list[list[float]] = []
        self.passed = True
        self._last: int | None = arguments.steps
        self._bar: tqdm | None = None

    def start(self, steps: int, unit: str = "batch") -> None:
        """Open the progress bar; ``steps`` is the number of calls of :meth:`step` to come."""
        if self._last is not None:
            steps = min(steps, self._last)
        self._bar = tqdm(total=steps, unit=unit)

    def step(self, *losses: torch.Tensor) -> None:
        """Note the losses of an optimiser step (tensors of one element) and move the progress bar."""
        if self._bar is None:
            raise RuntimeError("Run.start() has to come before the first Run.step()")
        self.losses.append([loss.item() for loss in losses])
        self._bar.set_postfix(loss=" ".join(f"{loss:.3f}" for loss in self.losses[-1]), refresh=False)
        self._bar.update()
        if self._bar.n == self._bar.total:
            self.close()
        if len(self.losses) == self._last:
            raise EnoughSteps

    def close(self) -> None:
        """Close the progress bar, so that what is printed next starts on a line of its own."""
        if self._bar is not None:
            self._bar.close()

    def check(self, what: str, value: float, *, at_least: float | None = None, at_most: float | None = None) -> None:
        """Print a metric; the exit status is 1 if it is outside its limits."""
        self.close()
        limits = {"at least": at_least, "at most": at_most}
        wanted = ", ".join(f"{side} {limit:g}" for side, limit in limits.items() if limit is not None)
        good = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
        print(f"{what}: {value:.4g}" + f" (wanted: {wanted}{'' if good else ', MISSED'})" * bool(wanted))
        self.passed &= good

    @contextlib.contextmanager
    def picture(self, name: str, width: float, height: float) -> Iterator:
        """Give an empty matplotlib ``Figure`` of this size in inches and save it in the folder of the run."""
        from matplotlib.figure import Figure  # a run that draws nothing needs no matplotlib

        self.close()
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        self.out.mkdir(parents=True, exist_ok=True)
        figure.savefig(self.out / name, dpi=110)
        print(f"wrote {self.out / name}")


def launch(main: Callable[[Run], None], argv: list[str] | None = None) -> int:
    """Read the arguments (those of the process, if none are given), run an example, and return its exit status."""
    script = Path(main.__globals__["__file__"])
    parser = argparse.ArgumentParser(prog=script.name, description=main.__globals__["__doc__"].split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("out") / script.stem, help="folder for pictures")
    parser.add_argument("--steps", type=int, help="stop after so many optimiser steps, without a metric")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--losses", type=Path, help="write the losses of all steps to this file, as JSON")
    arguments = parser.parse_args(argv)

    run = Run(arguments)
    before = torch.get_default_dtype()
    torch.set_default_dtype(run.dtype)
    torch.manual_seed(run.seed)
    try:
        main(run)
    except EnoughSteps:
        pass
    finally:
        run.close()
        torch.set_default_dtype(before)
    if arguments.losses:
        arguments.losses.write_text(json.dumps(run.losses), encoding="utf-8")
    return 0 if run.passed else 1
