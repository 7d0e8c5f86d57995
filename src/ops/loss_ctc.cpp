// The kernel behind torch.nn.functional.ctc_loss.
#include "core/state.h"
#include "kernels/ctc.h"
#include "ops/batch.h"
#include "ops/copy.h"

namespace tabula {
namespace {

// Whether the kernel may take a call: nothing else sees the operations that the loss is made of elsewhere.
bool run_ctc_fits(const Tensor& log_probs) {
  const DType d = log_probs.dtype();
  return !calls_may_be_taken() && (d == DType::Float32 || d == DType::Float64) && !log_probs.is_dual() &&
         !(log_probs.impl()->special & (kDispatch | kParts)) && log_probs.device().kind == DeviceKind::CPU;
}
const Op ctc_fits{OpDef{.schema = "_ctc_fits(Tensor log_probs) -> bool",
                        .run = fn<run_ctc_fits>,
                        .on = Internal,
                        .composite = true,
                        .batch = batch::question}};

std::tuple<Tensor, Tensor> run_ctc(const Tensor& log_probs, const Tensor& labels, const Tensor& steps,
                                   const Tensor& sizes, int64_t blank, bool zero_infinity, bool wants_grad) {
  const Tensor x = contiguous_raw(log_probs), y = contiguous_raw(labels), n = contiguous_raw(steps),
               m = contiguous_raw(sizes);
  kernels::CtcCall call{.dtype = x.dtype(),
                        .frames = x.size(0),
                        .batch = x.size(1),
                        .classes = x.size(2),
                        .log_probs = x.data(),
                        .labels = y.data_as<int64_t>(),
                        .longest = y.size(1),
                        .steps = n.data_as<int64_t>(),
                        .sizes = m.data_as<int64_t>(),
                        .blank = blank,
                        .zero_infinity = zero_infinity,
                        .loss = nullptr,
                        .grad = nullptr};
  for (int64_t b = 0; b < call.batch; b++) {
    check(call.steps[b] >= 0 && call.steps[b] <= call.frames && call.sizes[b] >= 0 && call.sizes[b] <= call.longest,
          "_ctc: sequence ", b, " is longer than its frames or labels");
    for (int64_t s = 0; s < call.sizes[b]; s++) {
      const int64_t label = call.labels[b * call.longest + s];
      check(label >= 0 && label < call.classes, "index ", label, " is out of bounds for dimension 2 with size ",
            call.classes);
    }
  }
  Tensor loss = Tensor::empty(Dims{call.batch}, x.dtype(), x.device());
  Tensor grad =
      wants_grad ? Tensor::empty(x.sizes(), x.dtype(), x.device()) : Tensor::empty(Dims{0}, x.dtype(), x.device());
  call.loss = loss.data();
  if (wants_grad) call.grad = grad.data();
  kernels::ctc[x.device().kind](call);
  return {loss, grad};
}
const Op ctc{OpDef{
    .schema = "_ctc(Tensor log_probs, Tensor labels, Tensor steps, Tensor sizes, int blank, bool zero_infinity, "
              "bool wants_grad) -> (Tensor, Tensor)",
    .run = fn<run_ctc>,
    .on = Internal,
    .batch = batch::refused,
    .doc = "The losses of sequences and, if wanted, their derivatives by log_probs, for ctc_loss.\n\nArgs: log_probs "
           "(frames, batch, classes), float32 or float64; labels (batch, longest), steps and sizes (batch), int64. "
           "Raises RuntimeError for a label that is no class."}};

}  // namespace
}  // namespace tabula
