#include "kernels/gpu/pointwise.h"

#include <vector>

#include "core/error.h"

namespace tabula::kernels::gpu {

void pointwise(Runtime& runtime, Pointwise op, size_t n, const Memory& out, std::span<const Memory> in,
               std::span<const float> params) {
  const PointwiseInfo& info = kPointwise[int(op)];
  check(in.size() == info.inputs && params.size() == info.params, info.name, " takes ", int(info.inputs),
        " inputs and ", int(info.params), " parameters, got ", in.size(), " and ", params.size());
  const Function kernel = runtime.compile(render(runtime.language(), op), kernel_name(op));
  std::vector<Argument> arguments{uint64_t(n), out};
  arguments.insert(arguments.end(), in.begin(), in.end());
  arguments.insert(arguments.end(), params.begin(), params.end());
  runtime.launch(kernel, n, arguments);
}

}  // namespace tabula::kernels::gpu
