#!/usr/bin/env python3
"""Record the schemas that TorchScript has besides torch.ops.aten's, under the reference's interpreter.

    REFERENCE/bin/python tools/record_script_schemas.py

Writes torch/jit/_schemas.txt: a schema a line, in the order in which PyTorch tries them, and lines "= NAME OVERLOAD..."
with the order of the overloads that torch/_aten_schemas.txt holds, where it is not the order there. Left out are forms
that write to out=, and operations of libraries for other devices.
"""

import re
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
FOREIGN = re.compile(
    r"cudnn|miopen|mkldnn|mps_|_cslt|_cufft|fbgemm|_vulkan|_thnn_|nnpack|xnnpack|mkl_|_foreach_|_fused_|_functional_sym|"
    r"_sparse_|_nested_|_efficient_att|_flash_att|sym_|_test_|_amp_|_cudnn|_copy$|_make_dep|_dyn_quant|_segment_reduce|"
    r"_weight_int|_wrapped_|_mps|dist_|rpc|to_here|owner|is_owner|confirmed|_fft_|tensorrt|oneDNN|Mkldnn|Cuda|Reduced"
)


def main() -> None:
    have: dict[str, list[str]] = {}
    for line in (ROOT / "torch/_aten_schemas.txt").read_text(encoding="utf-8").splitlines():
        text, _, rest = line.partition("|")
        for full in (text.partition("(")[0], *rest.partition("|")[2].split()):
            name, _, overload = full.partition(".")
            have.setdefault(name, []).append("" if overload == "default" else overload)
    lines = []
    for name in sorted({s.name for s in torch._C._jit_get_all_schemas()}):
        space, _, short = name.partition("::")
        if space not in ("aten", "prim") or FOREIGN.search(short):
            continue
        schemas = torch._C._jit_get_schemas_for_operator(name)
        known = have.get(short, []) if space == "aten" else []
        order = [s.overload_name or "default" for s in schemas if s.overload_name in known]
        here = [o or "default" for o in known]
        if len(order) > 1 and order != [o for o in here if o in order]:
            lines.append(f"= {name} {' '.join(order)}")
        for schema in schemas:
            is_out = any(a.is_out for a in schema.arguments) or "out" in schema.overload_name.split("_")
            if schema.overload_name not in known and not is_out:
                lines.append(str(schema).replace("\n", "\\n"))
    path = ROOT / "torch/jit/_schemas.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{path}: {len(lines)} lines")


if __name__ == "__main__":
    main()
