// The gradient of a convolution's weight: for every group a product of the input's columns with the output's gradient,
// summed over pixels. Pieces own rows (channel, tap) and a fixed slice of the batch; slices are added up in order.
#include <cstring>

#include "core/parallel.h"
#include "kernels/cpu/conv.h"
#include "kernels/cpu/scratch.h"

namespace tabula::kernels {
namespace {

constexpr int64_t kRowsAtOnce = 128;
constexpr int64_t kEnoughPieces = 24;
constexpr int64_t kFewOutputs = 8;  // fewer columns than this waste a vector tile: inner products instead

template <class T>
void weight_gradient(const ConvCall& call, const TileType<T>& type) {
  const StorageKernels& storage = gemm_isa().storage[int(call.dtype)];
  const Gather g = forward_gather(call);
  const int64_t item = item_size(call.dtype), panel = type.tiles.cols, taps = g.taps(), depth = g.depth();
  const int64_t outputs = call.out_channels / call.groups, pixels = g.pixels(), in_plane = volume(g.size);
  if (call.out_channels == 0 || depth == 0) return;
  const bool in_place = stored_as_computed(call.dtype), few = outputs <= kFewOutputs;

  const int64_t channels = std::clamp<int64_t>(kRowsAtOnce / taps, 1, g.channels);
  const int64_t blocks = (g.channels + channels - 1) / channels;
  const int64_t slices =
      std::clamp<int64_t>(kEnoughPieces / (blocks * call.groups), 1, std::max<int64_t>(1, call.batch));
  const int64_t slice = (call.batch + slices - 1) / slices;
  const int64_t ld = few ? outputs : round_up(outputs, panel), slice_size = call.groups * depth * ld;
  const int64_t width = std::min<int64_t>(round_up(std::max<int64_t>(pixels, 1), panel), kPassLength);
  const int64_t row = width + panel / 2;  // rows of the columns must not compete for the same sets of the cache
  const Scratch memory(size_t(slices * slice_size) * sizeof(T));
  T* const partials = memory.as<T>();

  parallel_for(slices * call.groups * blocks, 1, [&](int64_t index, int64_t) {
    const int64_t block = index % blocks, group = index / blocks % call.groups, part = index / blocks / call.groups;
    const int64_t channel = block * channels, some = std::min(channels, g.channels - channel), rows = some * taps;
    T* const sums = partials + part * slice_size + (group * depth + channel * taps) * ld;
    std::memset(sums, 0, size_t(rows * ld) * sizeof(T));
    const Scratch columns(size_t(rows * row) * sizeof(T)), right(size_t(width * ld) * sizeof(T));
    const Scratch products(few ? size_t(rows * outputs) * sizeof(T) : 0);
    const Scratch widened(in_place ? 0 : size_t(some * in_plane) * sizeof(T));
    Finish<T> accumulate;
    accumulate.beta = T(1);
    for (int64_t n = part * slice; n < std::min(call.batch, (part + 1) * slice); n++) {
      const char* input = call.input_data + ((n * call.groups + group) * g.channels + channel) * in_plane * item;
      const T* from = reinterpret_cast<const T*>(input);
      if (!in_place) {
        storage.load(input, 1, some * in_plane, widened.as<T>());
        from = widened.as<T>();
      }
      const char* grad = call.grad_output + (n * call.groups + group) * outputs * pixels * item;
      for (int64_t pixel = 0; pixel < pixels; pixel += width) {
        const int64_t count = std::min(width, pixels - pixel);
        gather_columns(g, from, 0, some, pixel, count, columns.as<T>(), row);
        if (few) {
          for (int64_t o = 0; o < outputs; o++)
            storage.load(grad + (o * pixels + pixel) * item, 1, count, right.as<T>() + o * width);
          type.tiles.dots(rows, outputs, count, columns.as<T>(), row, right.as<T>(), width, products.as<T>(), outputs);
          for (int64_t i = 0; i < rows * outputs; i++) sums[i] = T(sums[i] + products.as<T>()[i]);
        } else {
          for (int64_t o = 0; o < outputs; o += panel)
            storage.pack(grad + (o * pixels + pixel) * item, pixels, 1, std::min(panel, outputs - o), panel, count,
                         right.as<T>() + o * count, false);
          type.tiles.direct(rows, outputs, count, columns.as<T>(), row, 1, right.as<T>(), panel * count, panel, sums,
                            ld, accumulate);
        }
      }
    }
  });

  GemmCall place;
  place.dtype = call.dtype;
  place.c_row = 1;
  place.c_col = depth;
  parallel_for(call.groups, 1, [&](int64_t group, int64_t) {
    T* total = partials + group * depth * ld;
    for (int64_t part = 1; part < slices; part++)
      for (int64_t i = 0; i < depth * ld; i++) total[i] = T(total[i] + total[part * slice_size + i]);
    GemmCall one = place;
    one.c = call.out + group * outputs * depth * item;
    storage.write(total, ld, 0, depth, 0, outputs, one);
  });
}

}  // namespace

void conv_weight_real(const ConvCall& call) {
  const bool direct = call.groups > 1 && call.out_channels / call.groups <= 2;
  visit_tiles(gemm_isa(), call.dtype, "convolution_backward", [&](const auto& type) {
    if (direct && call.out_channels > 0 && call.output[0] * call.output[1] * call.output[2] > 0)
      conv_weight_direct(call, type);
    else
      weight_gradient(call, type);
  });
}

}  // namespace tabula::kernels
