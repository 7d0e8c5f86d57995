#include "ops/pointwise.h"

#include <algorithm>
#include <vector>

#include "ops/copy.h"
#include "ops/kernel_limits.h"
#include "ops/promote.h"
#include "ops/scalar_range.h"

namespace tabula {
namespace {

using kernels::kPointwise;
using kernels::PointwiseCall;

// The dtype a kernel computes in for operands of a common dtype; DType::Count where there is none.
DType find_compute(Pointwise op, DType common) {
  static constexpr DType none = DType::Count;
  if (refuses(op, common)) return none;
  const auto first = [&](std::initializer_list<DType> candidates) {
    for (DType d : candidates)
      if (kernels::pointwise_supports(op, d)) return d;
    return none;
  };
  switch (common) {
    case DType::Bool: return first({DType::Bool, DType::UInt8, DType::Int32, DType::Int64});
    case DType::UInt8: return first({DType::UInt8, DType::Int32, DType::Int64});
    case DType::Int8:
    case DType::Int16:
    case DType::UInt16:
    case DType::Int32: return first({DType::Int32, DType::Int64});
    case DType::UInt32:
    case DType::Int64: return first({DType::Int64});
    case DType::UInt64: return first({DType::UInt64, DType::Int64});
    case DType::Float16:
    case DType::BFloat16:
    case DType::Float32: return first({DType::Float32});
    case DType::Float64: return first({DType::Float64});
    case DType::Complex32:
    case DType::Complex64: return first({DType::Complex64});
    case DType::Complex128: return first({DType::Complex128});
    default: return none;
  }
}

DType compute_dtype(Pointwise op, DType common) {
  static const auto table = [] {
    std::array<std::array<DType, kDTypes>, kernels::kPointwiseOps> t;
    for (int o = 0; o < kernels::kPointwiseOps; o++)
      for (int d = 0; d < kDTypes; d++) t[size_t(o)][size_t(d)] = find_compute(Pointwise(o), DType(d));
    return t;
  }();
  return table[size_t(op)][size_t(common)];
}

// Writing to `out` while reading `in` is safe only if they are the same elements in the same order, or share nothing.
bool unsafe_overlap(const Tensor& out, const Tensor& in) {
  if (out.impl()->storage != in.impl()->storage || out.numel() == 0 || in.numel() == 0) return false;
  if (out.offset() == in.offset() && same(out.sizes(), in.sizes()) && same(out.strides(), in.strides()) && out.dtype() == in.dtype()) return false;
  const int64_t ob = out.offset() * item_size(out.dtype()), oe = ob + span_elements(out.sizes(), out.strides()) * item_size(out.dtype());
  const int64_t ib = in.offset() * item_size(in.dtype()), ie = ib + span_elements(in.sizes(), in.strides()) * item_size(in.dtype());
  return ob < ie && ib < oe;
}

struct Inputs {
  Operand const* operands;
  int count;
  const char* name;
  Rule rule;
};

[[gnu::cold, gnu::noinline]] void fail_devices(const Tensor& a, const Tensor& b) {
  fail(ErrorKind::Runtime, "Expected all tensors to be on the same device, but found at least two devices, ", a.device().str(), " and ", b.device().str(), "!");
}

[[noreturn, gnu::cold, gnu::noinline]] void fail_unsupported(Pointwise kernel, const Inputs& in, DType common) {
  const char* name = limits_of(kernel).name;
  fail(ErrorKind::NotImplemented, "\"", name ? name : in.name, name ? "" : "_cpu", "\" not implemented for '", dtype_title(common), "'");
}

// The texts differ for one and for two operands that are bool.
void check_no_bool(const Inputs& in) {
  int bools = 0;
  for (int k = 0; k < in.count; k++)
    bools += in.operands[k].is_tensor() ? in.operands[k].tensor().dtype() == DType::Bool : in.operands[k].scalar().is_bool();
  if (bools == 0) [[likely]]
    return;
  check(bools != in.count, "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` operator instead.");
  fail(ErrorKind::Runtime, "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, use the `~` or "
       "`logical_not()` operator instead.");
}

DType common_dtype(Pointwise kernel, const Inputs& in) {
  const uint8_t masks = kPointwise[int(kernel)].masks;
  ResultType type;
  const Tensor* first = nullptr;
  bool all_same = true;
  for (int k = 0; k < in.count; k++) {
    if (masks >> k & 1) continue;
    if (in.operands[k].is_tensor()) {
      const Tensor& t = in.operands[k].tensor();
      if (first && (t.dtype() != first->dtype() || t.impl()->wrapped_number || first->impl()->wrapped_number)) all_same = false;
      if (!first) first = &t;
    } else {
      all_same = false;
    }
    type.add(in.operands[k]);
  }
  DType common = all_same && first && !first->impl()->wrapped_number ? first->dtype() : type.get();
  if (in.rule == kFloating && is_integral_or_bool(common)) common = default_dtype;
  if (in.rule == kNoBool) check_no_bool(in);
  return common;
}

// Some refuse complex numbers before they look at shapes, where the others find no kernel afterwards.
[[gnu::cold, gnu::noinline]] void check_no_complex(Pointwise kernel, const Inputs& in) {
  switch (kernel) {
    case Pointwise::maximum:
    case Pointwise::minimum:
    case Pointwise::fmax:
    case Pointwise::fmin: fail(ErrorKind::Runtime, in.name, " not implemented for complex tensors.");
    case Pointwise::floor:
    case Pointwise::ceil:
    case Pointwise::trunc: fail(ErrorKind::NotImplemented, in.name, " is not supported for complex inputs");
    case Pointwise::sign:
      fail(ErrorKind::NotImplemented,
           "Unlike NumPy, torch.sign is not intended to support complex numbers. Please use torch.sgn instead.");
    default: break;
  }
}

// Whether PyTorch computes with a number as it is, in float, beside tensors of a half dtype; else it is rounded to theirs.
bool takes_exact_number(Pointwise kernel) {
  switch (kernel) {
    case Pointwise::mul:
    case Pointwise::div:
    case Pointwise::floor_divide:
    case Pointwise::div_trunc:
    case Pointwise::lerp:
    case Pointwise::xlogy: return true;
    default: return false;
  }
}
bool takes_rounded_params(Pointwise kernel) {
  switch (kernel) {
    case Pointwise::add:
    case Pointwise::sub:
    case Pointwise::rsub:
    case Pointwise::hardshrink: return true;
    default: return false;
  }
}
double rounded_to(DType half, double value) { return half == DType::Float16 ? double(float(Half(float(value)))) : double(float(BFloat16(float(value)))); }

// Operands of other dtypes are rounded to the common half dtype before the kernel widens them.
class RoundedOperands {
 public:
  Inputs in;
  RoundedOperands(Pointwise kernel, const Inputs& given, DType common) : in(given) {
    const uint8_t masks = kPointwise[int(kernel)].masks;
    const bool exact = takes_exact_number(kernel);
    operands_.reserve(size_t(given.count));
    for (int k = 0; k < given.count; k++) {
      const Operand& o = given.operands[k];
      operands_.push_back(o);
      if (masks >> k & 1) continue;
      if (!o.is_tensor()) {
        if (!exact && !o.scalar().is_complex()) operands_[size_t(k)] = Operand(numbers_[k] = Scalar(rounded_to(common, o.scalar().to_double())));
      } else if (const Tensor& t = o.tensor(); t.dtype() != common && t.dtype() != DType::Bool && !(exact && t.dim() == 0) && t.device().is_cpu() && !lacks_data(t)) {
        tensors_[k] = cast_raw(t, common);
        operands_[size_t(k)] = Operand(tensors_[k]);
      }
    }
    in.operands = operands_.data();
  }

 private:
  std::vector<Operand> operands_;
  Tensor tensors_[4];
  Scalar numbers_[4];
};

bool needs_rounding(Pointwise kernel, const Inputs& in, std::span<const Scalar> params, DType common) {
  const auto changes = [&](const Scalar& s) { return !s.is_complex() && s.to_double() == s.to_double() && rounded_to(common, s.to_double()) != s.to_double(); };
  if (takes_rounded_params(kernel) && std::any_of(params.begin(), params.end(), changes)) return true;
  const uint8_t masks = kPointwise[int(kernel)].masks;
  const bool exact = takes_exact_number(kernel);
  for (int k = 0; k < in.count; k++) {
    if (masks >> k & 1) continue;
    const Operand& o = in.operands[k];
    if (o.is_tensor()) {
      const Tensor& t = o.tensor();
      if (t.dtype() != common && t.dtype() != DType::Bool && !(exact && t.dim() == 0) && t.device().is_cpu() && !lacks_data(t)) return true;
    } else if (!exact && changes(o.scalar())) {
      return true;
    }
  }
  return false;
}

// `into`: null, or the tensor to write to. Returns the result.
Tensor run(Pointwise kernel, const Inputs& in, std::span<const Scalar> params, const Tensor* into, bool in_place) {
  const kernels::PointwiseInfo& info = kPointwise[int(kernel)];
  const DType common = common_dtype(kernel, in);
  if (is_reduced_float(common) && needs_rounding(kernel, in, params, common)) [[unlikely]] {
    const RoundedOperands rounded(kernel, in, common);
    Scalar numbers[6];
    for (size_t p = 0; p < params.size(); p++) numbers[p] = takes_rounded_params(kernel) ? Scalar(rounded_to(common, params[p].to_double())) : params[p];
    return run(kernel, rounded.in, {numbers, params.size()}, into, in_place);
  }
  const DType compute = compute_dtype(kernel, common);
  const bool unsupported = compute == DType::Count || (in.rule == kPromoteIntegers && !is_integral_or_bool(common));
  if (unsupported && is_complex(common)) [[unlikely]]
    check_no_complex(kernel, in);
  DType result_dtype = common;
  if (info.result != kernels::PointwiseResult::Same || in.rule == kCompare) result_dtype = kernels::pointwise_result(kernel, common);

  // shape: the fast case is one shape for all
  const Tensor* shaped = nullptr;
  bool uniform = true, contiguous = true;
  for (int k = 0; k < in.count; k++) {
    if (!in.operands[k].is_tensor()) continue;
    const Tensor& t = in.operands[k].tensor();
    if (!shaped) {
      shaped = &t;
    } else {
      if (t.device() != shaped->device()) [[unlikely]] {
        if (t.dim() != 0 && shaped->dim() != 0) fail_devices(*shaped, t);
        uniform = false;
      }
      if (!same(t.sizes(), shaped->sizes())) uniform = false;
    }
    contiguous &= t.is_contiguous();
  }
  check_type(shaped != nullptr, in.name, "(): at least one argument must be Tensor, not only numbers");
  Dims broadcast;
  IntList sizes;
  Device device{};
  if (uniform && shaped) [[likely]] {
    sizes = shaped->sizes();
    device = shaped->device();
  } else {
    bool first = true;
    for (int k = 0; k < in.count; k++) {
      if (!in.operands[k].is_tensor()) continue;
      const Tensor& t = in.operands[k].tensor();
      broadcast = first ? Dims(t.sizes()) : broadcast_sizes(broadcast, t.sizes());
      if (first || !t.device().is_cpu()) device = t.device();
      first = false;
    }
    sizes = broadcast;
  }

  if (unsupported && !device.is_meta() && !into) [[unlikely]]
    fail_unsupported(kernel, in, common);
  Tensor result, target;
  if (into) {
    check_writable(*into);
    const bool fits = same(into->sizes(), sizes);
    check(fits || !in_place, "output with shape ", shape_text(into->sizes()), " doesn't match the broadcast shape ",
          shape_text(sizes));
    if (!in_place && into->dtype() != result_dtype && limits_of(kernel).exact_out && !is_complex(common))
      fail(ErrorKind::Runtime, "Found dtype ", dtype_title(into->dtype()), " but expected ", dtype_title(result_dtype));
    check_cast_result(result_dtype, into->dtype());
    if (unsupported && !device.is_meta()) [[unlikely]]
      fail_unsupported(kernel, in, common);
    if (!fits) {
      // an operand that is resized under our hands would be read wrongly
      for (int k = 0; k < in.count; k++)
        if (in.operands[k].is_tensor()) check_separate(*into, in.operands[k].tensor());
      resize_output(*into, sizes);
    }
    bool overlap = false;
    for (int k = 0; k < in.count; k++)
      if (in.operands[k].is_tensor()) overlap |= unsafe_overlap(*into, in.operands[k].tensor());
    // a half result rounds before it is widened
    const bool rounds = is_reduced_float(result_dtype) && into->dtype() != result_dtype;
    result = overlap || rounds ? Tensor::empty(sizes, rounds ? result_dtype : into->dtype(), device) : *into;
    target = *into;
  } else if (contiguous) {
    result = Tensor::empty(sizes, result_dtype, device);
  } else {
    Dims spread[4];
    IntList orders[4];
    size_t tensors = 0;
    for (int k = 0; k < in.count; k++) {
      if (!in.operands[k].is_tensor()) continue;
      const Tensor& t = in.operands[k].tensor();
      const int64_t lead = int64_t(sizes.size()) - t.dim();
      Dims& strides = spread[tensors] = Dims(int64_t(sizes.size()), 0);
      for (int64_t d = 0; d < t.dim(); d++)
        if (t.sizes()[size_t(d)] != 1 || sizes[size_t(lead + d)] == 1) strides[lead + d] = t.strides()[size_t(d)];
      orders[tensors++] = strides;
    }
    result = Tensor::empty_strided(sizes, dense_strides_like(sizes, std::span<const IntList>(orders, tensors)), result_dtype, device);
  }
  if (result.numel() == 0 || device.is_meta()) return into ? *into : result;

  PointwiseCall call;
  call.op = kernel;
  call.compute = compute;
  call.result = kernels::pointwise_result(kernel, compute);
  const int nd = int(sizes.size());
  const int64_t numel = result.numel();
  static constexpr int64_t one = 1, zero = 0;
  // room for a number repeated over a tiny tensor, which spares the engine its strided path
  static constexpr int64_t kTiny = 128;
  alignas(16) char numbers[4][kTiny];
  SmallVec<int64_t, 20> strides;
  const bool flat = uniform && contiguous && result.is_contiguous();
  if (flat) {
    call.ndim = 1;
    call.sizes = &numel;
  } else {
    call.ndim = nd;
    call.sizes = sizes.data();
    strides.resize(int64_t(nd) * in.count);
  }
  call.nout = 1;
  call.out[0] = {result.data(), result.dtype(), flat ? &one : result.strides().data()};
  call.nin = in.count;
  for (int k = 0; k < in.count; k++) {
    const Operand& o = in.operands[k];
    if (o.is_tensor()) {
      const Tensor& t = o.tensor();
      if (flat) {
        call.in[k] = {t.data(), t.dtype(), &one};
        continue;
      }
      int64_t* s = strides.data() + int64_t(k) * nd;
      const int lead = nd - int(t.dim());
      for (int d = 0; d < nd; d++) s[d] = d < lead || t.sizes()[size_t(d - lead)] == 1 ? 0 : t.strides()[size_t(d - lead)];
      call.in[k] = {t.data(), t.dtype(), s};
    } else {
      const DType d = kernels::pointwise_input(kernel, compute, k);
      store_scalar(numbers[k], d, o.scalar());
      const int64_t size = item_size(d);
      if (flat && numel * size <= kTiny) {
        for (int64_t i = 1; i < numel; i++) std::memcpy(numbers[k] + i * size, numbers[k], size_t(size));
        call.in[k] = {numbers[k], d, &one};
        continue;
      }
      if (!flat)
        for (int i = 0; i < nd; i++) strides[int64_t(k) * nd + i] = 0;
      call.in[k] = {numbers[k], d, flat ? &zero : strides.data() + int64_t(k) * nd};
    }
  }
  const bool complex_params = is_complex(compute);
  for (size_t p = 0; p < params.size(); p++) {
    if (complex_params) {
      call.params[2 * p] = params[p].real();
      call.params[2 * p + 1] = params[p].imag();
    } else {
      call.params[p] = params[p].to_double();
      call.iparams[p] = params[p].to_int();
    }
  }
  if (device.is_cpu()) [[likely]]
    kernels::pointwise_cpu(call);
  else
    kernels::pointwise[device.kind](call);
  if (into && !result.is(*into)) {
    copy_into(*into, result);
    return *into;
  }
  return result;
}

}  // namespace

// A number that goes into the kernel as it is has to fit the dtype it is computed in.
[[gnu::noinline]] static void check_parameter(const Scalar& value, const Value& input) {
  if (!input.is_tensor()) return;
  const DType d = input.tensor().dtype();
  check_fits(value, is_reduced_float(d) ? DType::Float32 : d);
}

void run_pointwise(const Op& op, const Value* args, Out& out) {
  const Pointwise kernel = Pointwise(op.def.kernel);
  const int count = kPointwise[int(kernel)].inputs;
  alignas(Operand) char raw[4 * sizeof(Operand)];
  auto* operands = reinterpret_cast<Operand*>(raw);
  for (int k = 0; k < count; k++) new (operands + k) Operand(args[op.schema.tensor_params[size_t(k)]]);
  Scalar params[6];
  int filled = 0;
  for (size_t i = 0; i < op.schema.params.size() && filled < 6; i++) {
    const Type type = op.schema.params[i].type.type;
    if (type == Type::Scalar && kernel != Pointwise::hardtanh && !(args[i].scalar().is_integral() && uint64_t(args[i].scalar().to_int()) < 128)) [[unlikely]]
      check_parameter(args[i].scalar(), args[op.schema.tensor_params[0]]);
    if (type == Type::Scalar || type == Type::Float || type == Type::Int) params[filled++] = args[i].scalar();
  }
  const Inputs in{operands, count, op.schema.base_name.data() ? kPointwise[int(kernel)].name : "", Rule(op.def.rule)};
  const bool in_place = out.into && args[0].is_tensor() && out.into->is(args[0].tensor());
  out.tensors[0] = run(kernel, in, {params, size_t(filled)}, out.into, in_place);
  out.count = 1;
  out.wrote_into = out.into != nullptr;
}

Tensor pointwise_raw(Pointwise kernel, std::span<const Operand> inputs, std::span<const Scalar> params, Rule rule) {
  return run(kernel, {inputs.data(), int(inputs.size()), kPointwise[int(kernel)].name, rule}, params, nullptr, false);
}

}  // namespace tabula
