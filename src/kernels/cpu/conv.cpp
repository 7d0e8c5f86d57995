// Convolutions as products with implicit columns: a pass of columns is gathered into the cache, multiplied, forgotten.
#include "kernels/cpu/conv.h"

#include <cstring>

#include "core/parallel.h"
#include "kernels/cpu/scratch.h"

namespace tabula::kernels {
namespace {

constexpr int64_t kStagedElements = 4 << 20;  // of the source, widened at a time

// The weights of one backward gather: rows are input channels, the depth is (output channel, tap).
template <class T>
void transpose_weights(const ConvCall& call, const Gather& gather, const T* weight, T* matrix) {
  const int64_t in = call.in_channels / call.groups, out = call.out_channels / call.groups, taps = gather.taps();
  const int64_t kernel = call.kernel[0] * call.kernel[1] * call.kernel[2];
  constexpr int64_t kAhead = 8;  // the weights lie further apart than the hardware looks ahead
  const int64_t step = in * kernel;
  parallel_for(call.groups * in, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, out * taps)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t index = begin; index < end; index++) {
                   const T* from = weight + (index / in * out * in + index % in) * kernel;
                   T* to = matrix + index * out * taps;
                   for (int64_t o = 0; o < out; o++, from += step, to += taps) {
                     if (o + kAhead < out) __builtin_prefetch(from + kAhead * step);
                     for (int64_t t = 0; t < taps; t++) to[t] = from[gather.weights[size_t(t)]];
                   }
                 }
               });
}

// Whether a gather meets all taps in their order, as those of stride one do: then the weights can stay as they lie.
bool in_order(const Gather& gather, int64_t kernel) {
  if (gather.taps() != kernel) return false;
  for (int64_t t = 0; t < kernel; t++)
    if (gather.weights[size_t(t)] != t) return false;
  return true;
}

template <class T>
void run_gathers(const ConvCall& call, bool backward, const TileType<T>& type) {
  const StorageKernels& storage = gemm_isa().storage[int(call.dtype)];
  const int64_t item = item_size(call.dtype);
  const int64_t kernel = call.kernel[0] * call.kernel[1] * call.kernel[2];
  const int64_t source_channels = backward ? call.out_channels : call.in_channels;
  const int64_t result_channels = backward ? call.in_channels : call.out_channels;
  const Grid inputs{call.input[0], call.input[1], call.input[2]},
      outputs{call.output[0], call.output[1], call.output[2]};
  const int64_t source_image = source_channels * volume(backward ? outputs : inputs);
  const int64_t result_image = result_channels * volume(backward ? inputs : outputs);
  const char* source = backward ? call.grad_output : call.input_data;
  if (call.batch == 0 || result_image == 0) return;

  const int64_t weights = call.out_channels * (call.in_channels / call.groups) * kernel;
  const bool in_place = stored_as_computed(call.dtype);
  const int64_t rows = result_channels / call.groups;
  const std::vector<Gather> gathers = backward ? backward_gathers(call) : std::vector<Gather>{forward_gather(call)};
  const bool turns = backward && !(rows > 2 && gathers.size() == 1 && in_order(gathers[0], kernel));
  const Scratch widened(in_place ? 0 : size_t(weights) * sizeof(T)), arranged(turns ? size_t(weights) * sizeof(T) : 0);
  if (!in_place) storage.load(call.weight, 1, weights, widened.as<T>());
  const T* const weight = in_place ? reinterpret_cast<const T*>(call.weight) : widened.as<T>();
  const int64_t images =
      in_place ? call.batch : std::clamp<int64_t>(kStagedElements / std::max<int64_t>(1, source_image), 1, call.batch);
  const Scratch staged(in_place ? 0 : size_t(images * source_image) * sizeof(T));

  std::vector<const T*> matrices;
  T* next = arranged.as<T>();
  for (const Gather& gather : gathers) {
    matrices.push_back(turns ? next : weight);
    if (!turns) continue;
    transpose_weights(call, gather, weight, next);
    next += result_channels * gather.depth();
  }
  for (int64_t n = 0; n < call.batch; n += images) {
    const int64_t count = std::min(images, call.batch - n);
    const T* from = reinterpret_cast<const T*>(source + n * source_image * item);
    if (!in_place) {
      parallel_for(count * source_image, 65536, [&](int64_t begin, int64_t end) {
        storage.load(source + (n * source_image + begin) * item, 1, end - begin, staged.as<T>() + begin);
      });
      from = staged.as<T>();
    }
    for (size_t i = 0; i < gathers.size(); i++) {
      const Gather& gather = gathers[i];
      const bool as_given = backward && !turns;
      const ConvProduct<T> product{gather,
                                   call.groups,
                                   rows,
                                   matrices[i],
                                   as_given ? kernel : gather.depth(),
                                   as_given ? rows * kernel : gather.taps(),
                                   backward ? inputs : outputs,
                                   call.dtype,
                                   call.bias};
      const auto run = product.rows <= 2 ? conv_direct<T> : conv_blocked<T>;
      run(product, type, storage, count, from, call.out + n * result_image * item);
    }
  }
}

// Missing leading dimensions become ones.
ConvCall in_three_dimensions(const ConvCall& call) {
  ConvCall c = call;
  const int missing = 3 - call.nd;
  for (int d = 0; d < 3; d++) {
    const bool given = d >= missing;
    const int from = given ? d - missing : 0;
    c.input[d] = given ? call.input[from] : 1;
    c.kernel[d] = given ? call.kernel[from] : 1;
    c.output[d] = given ? call.output[from] : 1;
    c.stride[d] = given ? call.stride[from] : 1;
    c.padding[d] = given ? call.padding[from] : 0;
    c.dilation[d] = given ? call.dilation[from] : 1;
  }
  c.nd = 3;
  return c;
}

// A complex convolution is four real ones over the separated parts. T is the part's type.
template <class T>
void split_complex(const ConvCall& call, Kernel<void(const ConvCall&)>::Function real, const char* left,
                   int64_t left_size, const char* right, int64_t right_size, int64_t out_size,
                   void (*assign)(ConvCall&, const char* left, const char* right)) {
  const Scratch memory(size_t(2 * left_size + 2 * right_size + 2 * out_size) * sizeof(T));
  T* parts[4] = {memory.as<T>(), memory.as<T>() + left_size, memory.as<T>() + 2 * left_size,
                 memory.as<T>() + 2 * left_size + right_size};
  T* product = parts[3] + right_size;
  T* sum = product + out_size;
  for (int side = 0; side < 2; side++) {
    const T* from = reinterpret_cast<const T*>(side ? right : left);
    const int64_t size = side ? right_size : left_size;
    for (int64_t i = 0; i < size; i++) {
      parts[2 * side][i] = from[2 * i];
      parts[2 * side + 1][i] = from[2 * i + 1];
    }
  }
  ConvCall part = call;
  part.dtype = real_dtype(call.dtype);
  part.bias = nullptr;
  auto convolve = [&](int i, int j, T* to) {
    assign(part, reinterpret_cast<const char*>(parts[i]), reinterpret_cast<const char*>(parts[2 + j]));
    part.out = reinterpret_cast<char*>(to);
    real(part);
  };
  T* out = reinterpret_cast<T*>(call.out);
  convolve(0, 0, sum);
  convolve(1, 1, product);
  for (int64_t i = 0; i < out_size; i++) out[2 * i] = sum[i] - product[i];
  convolve(0, 1, sum);
  convolve(1, 0, product);
  for (int64_t i = 0; i < out_size; i++) out[2 * i + 1] = sum[i] + product[i];
}

template <class T>
void add_channel_bias(const ConvCall& call, int64_t channels, int64_t plane) {
  if (!call.bias) return;
  const T* bias = reinterpret_cast<const T*>(call.bias);
  T* out = reinterpret_cast<T*>(call.out);
  for (int64_t n = 0; n < call.batch; n++)
    for (int64_t c = 0; c < channels; c++)
      for (int64_t i = 0; i < plane; i++, out += 2) {
        out[0] += bias[2 * c];
        out[1] += bias[2 * c + 1];
      }
}

enum class Wanted { Output, InputGradient, WeightGradient };

template <class T>
void convolve_complex(const ConvCall& call, Wanted wanted, Kernel<void(const ConvCall&)>::Function real) {
  const int64_t in_plane = call.input[0] * call.input[1] * call.input[2];
  const int64_t out_plane = call.output[0] * call.output[1] * call.output[2];
  const int64_t inputs = call.batch * call.in_channels * in_plane, outputs = call.batch * call.out_channels * out_plane;
  const int64_t weights =
      call.out_channels * (call.in_channels / call.groups) * call.kernel[0] * call.kernel[1] * call.kernel[2];
  switch (wanted) {
    case Wanted::Output:
      split_complex<T>(call, real, call.input_data, inputs, call.weight, weights, outputs,
                       [](ConvCall& c, const char* x, const char* w) { c.input_data = x, c.weight = w; });
      return add_channel_bias<T>(call, call.out_channels, out_plane);
    case Wanted::InputGradient:
      split_complex<T>(call, real, call.grad_output, outputs, call.weight, weights, inputs,
                       [](ConvCall& c, const char* g, const char* w) { c.grad_output = g, c.weight = w; });
      return add_channel_bias<T>(call, call.in_channels, in_plane);
    case Wanted::WeightGradient:
      return split_complex<T>(call, real, call.input_data, inputs, call.grad_output, outputs, weights,
                              [](ConvCall& c, const char* x, const char* g) { c.input_data = x, c.grad_output = g; });
  }
}

// A kernel that covers the input whole, once: then images are rows, and all three are plain products of matrices.
bool covers(const ConvCall& call, Wanted wanted) {
  if (call.groups != 1 || (wanted == Wanted::InputGradient && call.bias)) return false;
  for (int d = 0; d < 3; d++)
    if (call.output[d] != 1 || call.padding[d] != 0 || call.dilation[d] != 1 || call.input[d] != call.kernel[d])
      return false;
  return true;
}

void multiply_whole(const ConvCall& call, Wanted wanted) {
  const int64_t images = call.batch, outputs = call.out_channels;
  const int64_t inputs = call.in_channels * call.kernel[0] * call.kernel[1] * call.kernel[2];
  GemmCall product;
  product.dtype = call.dtype;
  product.c = call.out;
  product.c_col = 1;
  const auto set = [&](int64_t m, int64_t k, int64_t n) {
    product.m = m;
    product.k = k;
    product.n = product.c_row = n;
  };
  const auto left = [&](const char* data, int64_t row, int64_t col) {
    product.a = data;
    product.a_row = row;
    product.a_col = col;
  };
  const auto right = [&](const char* data, int64_t row, int64_t col) {
    product.b = data;
    product.b_row = row;
    product.b_col = col;
  };
  switch (wanted) {
    case Wanted::Output:
      set(images, inputs, outputs);
      left(call.input_data, inputs, 1);
      right(call.weight, 1, inputs);
      product.bias = call.bias;
      product.bias_col = 1;
      break;
    case Wanted::InputGradient:
      set(images, outputs, inputs);
      left(call.grad_output, outputs, 1);
      right(call.weight, inputs, 1);
      break;
    case Wanted::WeightGradient:
      set(outputs, images, inputs);
      left(call.grad_output, 1, outputs);
      right(call.input_data, inputs, 1);
      break;
  }
  gemm[DeviceKind::CPU](product);
}

template <Wanted wanted>
void convolve(const ConvCall& given) {
  const ConvCall call = in_three_dimensions(given);
  if (covers(call, wanted)) return multiply_whole(call, wanted);
  if (call.dtype == DType::Complex64) return convolve_complex<float>(call, wanted, convolve<wanted>);
  if (call.dtype == DType::Complex128) return convolve_complex<double>(call, wanted, convolve<wanted>);
  if constexpr (wanted == Wanted::WeightGradient)
    conv_weight_real(call);
  else
    visit_tiles(gemm_isa(), call.dtype, "convolution",
                [&](const auto& type) { run_gathers(call, wanted == Wanted::InputGradient, type); });
}

}  // namespace

Kernel<void(const ConvCall&)> conv_forward("conv_forward", convolve<Wanted::Output>);
Kernel<void(const ConvCall&)> conv_grad_input("conv_grad_input", convolve<Wanted::InputGradient>);
Kernel<void(const ConvCall&)> conv_grad_weight("conv_grad_weight", convolve<Wanted::WeightGradient>);

}  // namespace tabula::kernels
