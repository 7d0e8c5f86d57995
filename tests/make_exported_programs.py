"""Writes the exported programs that test_export_files.py reads: run it under the reference PyTorch.

REFERENCE/bin/python tests/make_exported_programs.py tests/data/exported_programs.zip
"""

import copy
import io
import sys
import warnings
import zipfile
from pathlib import Path

import torch
from torch.utils import _pytree as pytree

sys.path.insert(0, str(Path(__file__).parent))

import export_programs  # noqa: E402  found by the line above


def exported(make):
    """The bytes of a program's file, and those of its arguments and results."""
    torch.manual_seed(0)
    made = make()
    module, args, kwargs, shapes, _ = made
    program = torch.export.export(module, args, kwargs, dynamic_shapes=shapes)
    file, results = io.BytesIO(), io.BytesIO()
    torch.export.save(program, file)
    calls = []
    for a, k in export_programs.inputs_of(made):
        given = copy.deepcopy((a, k))
        torch.manual_seed(1)
        calls.append((given, program.module()(*a, **k)))
    torch.save([v.detach() if isinstance(v, torch.Tensor) else v for v in pytree.tree_leaves(calls)], results)
    return file.getvalue(), results.getvalue()


def main(path):
    """Write all programs into one archive."""
    warnings.simplefilter("ignore")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, make in export_programs.PROGRAMS.items():
            program, results = exported(make)
            for kind, data in (("pt2", program), ("results.pt", results)):
                archive.writestr(zipfile.ZipInfo(f"{name}.{kind}"), data, zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    main(sys.argv[1])
