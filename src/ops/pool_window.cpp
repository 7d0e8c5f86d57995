#include "ops/pool_window.h"

namespace tabula {
namespace {

constexpr const char* kNumber[] = {"", "one", "two", "three"};

std::string sizes_text(IntList sizes, const char* between) {
  std::string text;
  for (size_t i = 0; i < sizes.size(); i++) text += (i ? between : "") + std::to_string(sizes[i]);
  return text;
}

// A list argument as n numbers in the last places.
void place(int64_t (&to)[3], IntList list, int n, const char* name, const char* what, const char* must) {
  check(list.size() == 1 || int(list.size()) == n, name, ": ", what, " must ", must, kNumber[n], " ints");
  for (int d = 0; d < n; d++) to[3 - n + d] = list[list.size() == 1 ? 0 : size_t(d)];
}

int64_t windows(int64_t size, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation, bool ceil_mode) {
  const int64_t room = size + 2 * padding - dilation * (kernel - 1) - 1 + (ceil_mode ? stride - 1 : 0);
  int64_t count = (room >= 0 ? room / stride : -((-room + stride - 1) / stride)) + 1;
  // the last window has to start inside the input or its left padding
  if (ceil_mode && (count - 1) * stride >= size + padding) count--;
  return count;
}

void check_single(IntList kernel_size, IntList stride, IntList padding, IntList dilation) {
  const auto single = [](IntList list, const char* what) {
    check(list.size() == 1, "max_pool1d() ", what, " must be an int, list of ints or tuple of ints of size 1 but got size ", list.size());
  };
  single(kernel_size, "kernel_size");
  if (!stride.empty()) single(stride, "stride");
  single(padding, "padding");
  single(dilation, "dilation");
}

void check_one_dim(const kernels::PoolCall& call, const Tensor& input) {
  check(input.dim() == 2 || input.dim() == 3, "max_pool1d: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for input, but got:", shape_text(input.sizes()));
  for (int64_t d = input.dim() - 2; d < input.dim(); d++)
    check(input.sizes()[size_t(d)] != 0, "max_pool1d: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for input, but got:", shape_text(input.sizes()));
  check(call.kernel[2] > 0, "max_pool1d() kernel_size must be greater than zero, but got ", call.kernel[2]);
  check(call.stride[2] > 0, "max_pool1d() stride must be greater than zero, but got ", call.stride[2]);
  check(call.padding[2] >= 0, "max_pool1d() padding must be non-negative, but got ", call.padding[2]);
  check(call.padding[2] <= call.kernel[2] / 2, "max_pool1d() padding should be at most half of kernel size, but got padding=", call.padding[2], " and kernel_size=", call.kernel[2]);
  check(call.dilation[2] > 0, "max_pool1d() dilation must be greater than zero, but got ", call.dilation[2]);
}

void check_dims(PoolKind kind, int n, const Tensor& input) {
  if (n == 1) {
    check(input.dim() == 2 || input.dim() == 3, "Expected 2 to 3 dimensions, but got ", input.dim(), "-dimensional tensor for argument #1 'self' (while checking arguments for ",
          kind == PoolKind::Average ? "avg_pool1d)" : "max_pool1d_with_indices)");
  } else {
    check_index(kind != PoolKind::Average || n != 2 || input.dim() > 2, "Dimension out of range (expected to be in range of [", -std::max<int64_t>(input.dim(), 1), ", ",
                std::max<int64_t>(input.dim(), 1) - 1, "], but got -3)");
    check(input.dim() == n + 1 || input.dim() == n + 2, "non-empty ", n + 1, "D or ", n + 2, "D (batch mode) tensor expected for input");
  }
}

void check_no_empty_plane(PoolKind kind, int n, const Tensor& input) {
  if (n == 1 && kind == PoolKind::Average) return;
  for (int64_t d = input.dim() - n - 1; d < input.dim(); d++) {
    if (input.sizes()[size_t(d)] != 0) continue;
    if (n < 3)
      fail(ErrorKind::Runtime, "Expected 3D or 4D (batch mode) tensor with optional 0 dim batch size for input, but got:", shape_text(input.sizes()));
    fail(ErrorKind::Runtime, kind != PoolKind::Average ? "max_pool3d_with_indices_out_cpu_template()" : "avg_pool3d_out_cpu()",
         ": Expected input's non-batch dimensions to have positive length, but input has a shape of ", shape_text(input.sizes()), " and non-batch dimension ", d - (input.dim() - n - 1),
         " has length zero!");
  }
}

}  // namespace

kernels::PoolCall pool_call(int n, IntList in_sizes, IntList out_sizes, DType dtype) {
  kernels::PoolCall call{};
  const size_t lead = in_sizes.size() - size_t(n);
  check(n >= 1 && n <= 3 && in_sizes.size() >= size_t(n) && in_sizes.size() == out_sizes.size() && same(in_sizes.first(lead), out_sizes.first(lead)),
        "pooling over ", n, " dimensions: shapes ", shape_text(in_sizes), " and ", shape_text(out_sizes), " do not fit");
  call.planes = 1;
  for (size_t d = 0; d < lead; d++) call.planes *= in_sizes[d];
  for (int d = 0; d < 3; d++) {
    const bool used = d >= 3 - n;
    call.in_size[d] = used ? in_sizes[lead + size_t(d - (3 - n))] : 1;
    call.out_size[d] = used ? out_sizes[lead + size_t(d - (3 - n))] : 1;
    call.kernel[d] = call.stride[d] = call.dilation[d] = 1;
  }
  call.dtype = dtype;
  return call;
}

PoolShape::PoolShape(PoolKind kind, int n, const Tensor& input, IntList kernel_size, IntList stride, IntList padding, IntList dilation, bool ceil_mode) {
  const std::string text = concat(kind == PoolKind::Average ? "avg_pool" : "max_pool", n, "d");
  const char* name = text.c_str();
  for (int d = 0; d < 3; d++) call.kernel[d] = call.stride[d] = call.dilation[d] = 1;
  const bool one = kind == PoolKind::Max && n == 1;
  if (one) check_single(kernel_size, stride, padding, dilation);
  place(call.kernel, kernel_size, n, name, "kernel_size", "either be a single int, or a tuple of ");
  if (stride.empty())
    std::copy(call.kernel, call.kernel + 3, call.stride);
  else
    place(call.stride, stride, n, name, "stride", "either be omitted, a single int, or a tuple of ");
  place(call.padding, padding, n, name, "padding", "either be a single int, or a tuple of ");
  place(call.dilation, dilation, n, name, "dilation", "be either a single int, or a tuple of ");
  for (const int64_t* all : {call.kernel, call.stride, call.padding, call.dilation})
    for (int d = 0; d < 3; d++) check(all[d] == int32_t(all[d]), "value cannot be converted to type int without overflow");
  if (one)
    check_one_dim(call, input);
  else
    check_dims(kind, n, input);
  for (int d = 3 - n; d < 3 && !one; d++) {
    check(call.stride[d] != 0, "stride should not be zero");
    check(call.padding[d] >= 0, "pad must be non-negative, but got pad: ", call.padding[d]);
    check(call.padding[d] <= ((call.kernel[d] - 1) * call.dilation[d] + 1) / 2, "pad should be at most half of effective kernel size, but got pad=", call.padding[d],
          ", kernel_size=", call.kernel[d], " and dilation=", call.dilation[d]);
    check(call.kernel[d] > 0, "kernel size should be greater than zero, but got kernelH: ", call.kernel[1], " kernelW: ", call.kernel[2]);
    check(call.stride[d] > 0, "stride should be greater than zero, but got strideH: ", call.stride[1], " strideW: ", call.stride[2]);
    check(call.dilation[d] > 0, "dilation should be greater than zero, but got dilationH: ", call.dilation[1], " dilationW: ", call.dilation[2]);
  }
  if (!one) check_no_empty_plane(kind, n, input);
  const size_t lead = size_t(input.dim() - n);
  out_sizes = Dims(input.sizes());
  bool enough = true;
  for (int d = 3 - n; d < 3; d++) {
    const size_t at = lead + size_t(d - (3 - n));
    const int64_t count = windows(input.sizes()[at], call.kernel[d], call.stride[d], call.padding[d], call.dilation[d], ceil_mode);
    check(!one || count > 0, "max_pool1d() Invalid computed output size: ", count);
    out_sizes[int64_t(at)] = count;
    enough &= count >= 1;
  }
  if (kind == PoolKind::Average && n == 3) {
    bool covered = true;
    for (int d = 0; d < 3; d++) covered &= ceil_mode || input.sizes()[lead + size_t(d)] + 2 * call.padding[d] >= call.kernel[d];
    check(covered, "input image (T: ", input.size(-3), " H: ", input.size(-2), " W: ", input.size(-1), ") smaller than kernel size (kT: ", call.kernel[0], " kH: ", call.kernel[1],
          " kW: ", call.kernel[2], ")");
  }
  if (!enough) {
    // the texts speak of planes and sizes as the two-dimensional kernel sees them
    Dims from(input.sizes().data() + lead - 1, input.sizes().data() + input.dim()), to(out_sizes.data() + lead - 1, out_sizes.data() + input.dim());
    if (n == 1) {
      from.insert(1, 1);
      to.insert(1, 1);
    }
    fail(ErrorKind::Runtime, "Given input size: (", sizes_text(from, "x"), "). Calculated output size: (", sizes_text(to, "x"), "). Output size is too small");
  }
  kernels::PoolCall sized = pool_call(n, input.sizes(), out_sizes, input.dtype());
  for (int d = 0; d < 3; d++) {
    sized.kernel[d] = call.kernel[d];
    sized.stride[d] = call.stride[d];
    sized.padding[d] = call.padding[d];
    sized.dilation[d] = call.dilation[d];
  }
  call = sized;
}

}  // namespace tabula
