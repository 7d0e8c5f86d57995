"""Whether an export to ONNX is going on."""

exporting = 0
