#include "interp/autocast.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "autograd/node.h"
#include "core/state.h"
#include "interp/interp.h"
#include "ops/copy.h"

namespace tabula::autocast {
namespace {

enum class Rule : uint8_t { Lower, Float, FloatPad, Widest, AsItIs };

// What PyTorch does with the operations of a CPU, by the names of the rows; those that Python composes are listed in
// torch/amp/_functions.py.
constexpr std::string_view kLower =
    " convolution _convolution conv1d conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d conv_transpose3d mm bmm "
    "addmm addbmm baddbmm matmul linalg_matmul linalg_vecdot linalg_multi_dot linear prelu scaled_dot_product_attention "
    "_lstm_layer ";
constexpr std::string_view kFloat =
    " avg_pool3d adaptive_avg_pool3d adaptive_max_pool3d max_unpool1d max_unpool2d max_unpool3d binary_cross_entropy "
    "binary_cross_entropy_with_logits cross_entropy nll_loss kl_div l1_loss mse_loss huber_loss smooth_l1_loss ctc_loss "
    "multi_margin_loss multilabel_margin_loss prod trace cdist polar view_as_complex cholesky cholesky_inverse "
    "cholesky_solve inverse geqrf ormqr qr lu_solve triangular_solve pinverse linalg_cholesky linalg_cholesky_ex "
    "linalg_cond linalg_eig linalg_eigh linalg_eigvals linalg_eigvalsh linalg_householder_product linalg_inv "
    "linalg_inv_ex linalg_lstsq linalg_matrix_rank linalg_qr linalg_solve linalg_svdvals linalg_tensorinv "
    "linalg_tensorsolve fft_fft fft_ifft fft_fft2 fft_ifft2 fft_fftn fft_ifftn fft_rfft fft_irfft fft_rfft2 fft_irfft2 "
    "fft_rfftn fft_irfftn fft_hfft fft_ihfft ";
constexpr std::string_view kWidest = " cat stack index_copy ";
// Their parts are not looked at.
constexpr std::string_view kAsItIs = " bilinear linalg_matrix_exp matrix_exp block_diag ";

bool lists(std::string_view names, std::string_view name) {
  const size_t at = names.find(name);
  for (size_t i = at; i != std::string_view::npos; i = names.find(name, i + 1))
    if (names[i - 1] == ' ' && names[i + name.size()] == ' ') return true;
  return false;
}

const std::unordered_map<const Op*, Rule>& rules() {
  static const std::unordered_map<const Op*, Rule> table = [] {
    std::unordered_map<const Op*, Rule> found;
    for (const Op* op : all_ops()) {
      const std::string_view name = op->schema.base_name;
      if (lists(kLower, name)) found.emplace(op, Rule::Lower);
      if (lists(kFloat, name)) found.emplace(op, Rule::Float);
      if (lists(kWidest, name)) found.emplace(op, Rule::Widest);
      if (lists(kAsItIs, name)) found.emplace(op, Rule::AsItIs);
      if (name == "pad") found.emplace(op, Rule::FloatPad);
    }
    return found;
  }();
  return table;
}

struct Kept {
  Tensor weight, cast;  // the weight is held, so that its address means it
};
thread_local DType lower = DType::BFloat16;
thread_local bool cache_enabled = true;
thread_local std::unordered_map<const TensorImpl*, Kept> kept;

bool eligible(const Tensor& t) {
  return t.defined() && t.device().is_cpu() && is_floating(t.dtype()) && t.dtype() != DType::Float64;
}

Tensor cast(const Tensor& t, DType dtype) {
  if (!eligible(t) || t.dtype() == dtype) return t;
  const bool weight = cache_enabled && dtype == lower && t.dtype() == DType::Float32 && t.needs_grad() &&
                      !(t.impl()->special & kView) && autograd::is_leaf(t);
  if (!weight) return to_dtype(t, dtype);
  const auto [at, fresh] = kept.try_emplace(t.impl());
  if (fresh) at->second = {t, to_dtype(t, dtype)};
  return at->second.cast;
}

// The widest among the floating arguments and the chosen precision.
DType widest(const Call& call) {
  DType found = lower;
  const auto look = [&](const Tensor& t) {
    if (!eligible(t) || t.dtype() == lower) return;
    check(t.dtype() == DType::Float32 || found == DType::Float32, "Unexpected floating ScalarType in at::autocast::prioritize");
    found = DType::Float32;
  };
  for (uint8_t i : call.op.schema.tensor_params) {
    if (call.args[i].is_tensor()) look(call.args[i].tensor());
    if (call.args[i].tag() == Value::Tag::TensorList) std::ranges::for_each(call.args[i].tensors(), look);
  }
  return found;
}

// The dtype that a call's arguments get, none where they stay.
std::optional<DType> chosen(const Call& call, Rule rule) {
  switch (rule) {
    case Rule::Lower: return lower;
    case Rule::Float: return DType::Float32;
    case Rule::Widest: return widest(call);
    case Rule::FloatPad:
      if (call.args[2].str() == "reflect" || call.args[2].str() == "replicate") return DType::Float32;
      [[fallthrough]];
    default: return std::nullopt;
  }
}

bool layer(const Call& call, uint8_t) {
  if (!(thread_state.interpreters & kAutocast) || call.form != Form::Plain || call.op.schema.mutated >= 0) return false;
  const auto rule = rules().find(&call.op);
  if (rule == rules().end()) return false;
  Restore<uint8_t> off(thread_state.interpreters, uint8_t(thread_state.interpreters & ~kAutocast));
  const std::optional<DType> dtype = chosen(call, rule->second);
  if (!dtype) {
    tabula::call(call.op, call.args, call.out);
    return true;
  }
  Value args[kMaxParams];
  Tensor singles[kMaxParams];
  std::vector<std::vector<Tensor>> many;
  std::copy_n(call.args, call.op.schema.params.size(), args);
  for (uint8_t i : call.op.schema.tensor_params) {
    if (args[i].is_tensor()) {
      singles[i] = cast(args[i].tensor(), *dtype);
      args[i] = Value(singles[i]);
    } else if (args[i].tag() == Value::Tag::TensorList) {
      std::vector<Tensor>& list = many.emplace_back();
      for (const Tensor& t : args[i].tensors()) list.push_back(cast(t, *dtype));
      args[i] = Value(TensorList(list));
    }
  }
  tabula::call(call.op, args, call.out);
  return true;
}

}  // namespace

bool is_enabled() { return thread_state.interpreters & kAutocast; }
void set_enabled(bool on) {
  interp::install(interp::Place::Autocast, layer);
  if (on)
    thread_state.interpreters |= kAutocast;
  else
    thread_state.interpreters &= uint8_t(~kAutocast);
}
DType low_precision() { return lower; }
void set_low_precision(DType dtype) { lower = dtype; }
void set_cache_enabled(bool on) { cache_enabled = on; }
bool is_cache_enabled() { return cache_enabled; }
void clear_cache() { kept.clear(); }

}  // namespace tabula::autocast
