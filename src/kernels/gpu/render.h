// The text of GPU kernels, written from the formulas.
#pragma once

#include <span>
#include <string>

#include "kernels/gpu/expr.h"
#include "kernels/pointwise.h"

namespace tabula::kernels::gpu {

enum class Language : uint8_t { OpenCL, Cuda };

// A kernel `name(n, out, x0, x1, ..., p0, p1, ...)`: n a 64-bit count, out and x contiguous floats, p floats; one work
// item per element. Each subexpression is computed once. The output may be one of the inputs.
std::string render_kernel(Language language, const std::string& name, int inputs, int params, const Expr& result);

// The operations that have a formula, and so a kernel in every language.
std::span<const Pointwise> rendered_operations();
bool is_rendered(Pointwise op);
std::string kernel_name(Pointwise op);
std::string render(Language language, Pointwise op);

}  // namespace tabula::kernels::gpu
