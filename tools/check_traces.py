#!/usr/bin/env python3
"""Do modules that Tabula traces and saves give the same results in PyTorch, and those that PyTorch traces in Tabula?

    PYTHONPATH=. python -P tools/check_traces.py write FOLDER       with one of the two
    REFERENCE/bin/python tools/check_traces.py read FOLDER          with the other

``write`` traces the networks of tests/traced_networks.py, saves each with its inputs, other inputs, the results and the
gradients of its parameters; ``read`` loads them and compares. The last line counts those that agree.
"""

import sys
import warnings
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

# What PyTorch's own check refuses: a module in eval mode takes another path where no gradients are recorded.
UNCHECKED = ("transformer", "positions", "vit")


def outcome(module, inputs):
    """The results of a call and the gradients of the sum of their squares, as a flat list."""
    torch.manual_seed(0)
    module.zero_grad()
    results = []

    def collect(value):
        if isinstance(value, torch.Tensor):
            results.append(value)
        else:
            for part in value.values() if isinstance(value, dict) else value:
                collect(part)

    collect(module(*inputs))
    loss = sum(r.square().sum() for r in results if r.requires_grad)
    if isinstance(loss, torch.Tensor):
        loss.backward()
    gradients = [p.grad for _, p in sorted(module.named_parameters()) if p.grad is not None]
    return [t.detach().clone() for t in (*results, *gradients)]


def write(folder: Path) -> int:
    import traced_networks

    failed = 0
    for name, (make, first, second) in traced_networks.networks().items():
        torch.manual_seed(0)
        network = make()
        with torch.no_grad():
            network(*first)
        network.eval()
        try:
            traced = torch.jit.trace(network, first, strict=False, check_trace=name not in UNCHECKED)
            traced.save(str(folder / f"{name}.pt"))
        except Exception as error:
            failed += 1
            print(f"{name}: {type(error).__name__}: {str(error)[:300]}")
            continue
        values = [(inputs, outcome(traced, inputs)) for inputs in (first, second)]
        torch.save(values, folder / f"{name}.values")
    return failed


def read(folder: Path) -> int:
    wrong = 0
    names = sorted(path.stem for path in folder.glob("*.values"))
    for name in names:
        try:
            module = torch.jit.load(str(folder / f"{name}.pt"))
            for inputs, expected in torch.load(folder / f"{name}.values"):
                found = outcome(module, inputs)
                assert len(found) == len(expected), f"{len(found)} tensors, expected {len(expected)}"
                for a, b in zip(found, expected, strict=True):
                    if name == "mixture" and a.dim() == 0:
                        continue  # it counts its calls
                    size = 1.0 if b.numel() == 0 or not b.is_floating_point() else max(1.0, float(b.abs().max()))
                    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5 * size)
        except Exception as error:
            wrong += 1
            print(f"{name}: {type(error).__name__}: {str(error)[-600:]}")
    print(f"{len(names) - wrong} of {len(names)} agree")
    return wrong


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    verb, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(exist_ok=True)
    sys.exit(1 if {"write": write, "read": read}[verb](folder) else 0)


if __name__ == "__main__":
    main()
