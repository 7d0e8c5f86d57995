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
constexpr int64_t kKeptColumns = 1 << 20;
constexpr int64_t kTurnedRows = 128, kTurnedOutputs = 32;  // of the result, turned at a time
constexpr int64_t kPackedElements = 2 << 20;               // of the output's gradient, packed at a time
constexpr int64_t kFewOutputs = 8;  // fewer columns than this waste a vector tile: inner products instead

template <class T>
void add_to(T* __restrict sums, const T* __restrict more, int64_t n) {
  for (int64_t i = 0; i < n; i++) sums[i] = T(sums[i] + more[i]);
}

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
  const int64_t ld = few ? outputs : round_up(outputs, panel), slice_size = call.groups * depth * ld;
  // the images whose gradients are packed at a time, and their slices
  const int64_t image_size = call.groups * ld * pixels;
  const int64_t span =
      std::clamp<int64_t>(kPackedElements / std::max<int64_t>(1, image_size), 1, std::max<int64_t>(1, call.batch));
  const int64_t wanted = std::clamp<int64_t>(kEnoughPieces / (blocks * call.groups), 1, span);
  const int64_t slice = (span + wanted - 1) / wanted, slices = (span + slice - 1) / slice;
  // pixels that are multiplied at a time: a run of one image's, or all of several small images
  const int64_t joined = std::clamp<int64_t>(kPassLength / std::max<int64_t>(1, pixels), 1, slice);
  const int64_t width = joined > 1 ? joined * pixels : std::min<int64_t>(round_up(pixels, panel), kPassLength);
  const int64_t row = round_up(width, panel) + panel / 2;  // rows of the columns must not compete for the same sets
  // which elements the columns take: found once, unless that is too much to keep
  const auto columns_at = [&](int64_t pixel) {
    return Columns(g, pixel, std::min(width, pixels - pixel), row, type.tiles.longest_run);
  };
  std::vector<Columns> kept;
  const bool keeps = round_up(pixels, width) * taps <= kKeptColumns;
  for (int64_t pixel = 0; pixel < pixels && keeps; pixel += width) kept.push_back(columns_at(pixel));

  const Scratch memory(size_t(slices * slice_size) * sizeof(T)), packed(size_t(span * image_size) * sizeof(T));
  T* const partials = memory.as<T>();
  if (call.batch == 0 || pixels == 0) std::memset(partials, 0, size_t(slices * slice_size) * sizeof(T));

  // rows [first, last) of the sums of a group, with those of all slices, turned from [tap][output] to [output][tap]
  const StorageKernels& plain = gemm_isa().storage[int(dtype_of<T>)];
  const auto finish = [&](int64_t group, int64_t first, int64_t last) {
    const Scratch turned(size_t(kTurnedRows * kTurnedOutputs) * sizeof(T));
    GemmCall place;
    place.dtype = call.dtype;
    place.c_row = depth;
    place.c_col = 1;
    for (; first < last; first += kTurnedRows) {
      const int64_t rows = std::min(kTurnedRows, last - first);
      T* const total = partials + (group * depth + first) * ld;
      for (int64_t part = 1; part < slices; part++) add_to(total, total + part * slice_size, rows * ld);
      for (int64_t o = 0; o < outputs; o += kTurnedOutputs) {
        const int64_t some = std::min(kTurnedOutputs, outputs - o);
        plain.pack(reinterpret_cast<const char*>(total + o), ld, 1, rows, rows, some, turned.as<T>(), false);
        place.c = call.out + ((group * outputs + o) * depth + first) * item;
        storage.write(turned.as<T>(), rows, 0, some, 0, rows, place);
      }
    }
  };

  for (int64_t begin = 0; begin < call.batch && pixels > 0; begin += span) {
    const int64_t end = std::min(call.batch, begin + span);
    // the gradients of each image and group: [pixel][output] in panels of outputs that reach over all pixels of the
    // images that are multiplied together; or as they are
    const auto place_of = [&](int64_t image, int64_t group) {
      return packed.as<T>() + (group * (end - begin) + image - begin) * pixels * ld;
    };
    const auto together_at = [&](int64_t image) {
      const int64_t part_begin = begin + (image - begin) / slice * slice;
      const int64_t first = part_begin + (image - part_begin) / joined * joined;
      return std::pair(first, std::min({joined, end - first, part_begin + slice - first}));
    };
    const int64_t grain = std::max<int64_t>(1, 32768 / std::max<int64_t>(1, image_size));
    parallel_for((end - begin) * call.groups, grain, [&](int64_t from, int64_t to) {
      for (int64_t slot = from; slot < to; slot++) {
        const int64_t n = begin + slot / call.groups, group = slot % call.groups;
        const char* grad = call.grad_output + (n * call.groups + group) * outputs * pixels * item;
        const auto [first, together] = together_at(n);
        if (few) {
          for (int64_t o = 0; o < outputs; o++)
            storage.load(grad + o * pixels * item, 1, pixels,
                         place_of(first, group) + (o * together + n - first) * pixels);
          continue;
        }
        for (int64_t pixel = 0; pixel < pixels; pixel += width) {
          const int64_t count = std::min(width, pixels - pixel), all = joined > 1 ? together * pixels : count;
          for (int64_t o = 0; o < outputs; o += panel)
            storage.pack(grad + (o * pixels + pixel) * item, pixels, 1, std::min(panel, outputs - o), panel, count,
                         place_of(first, group) + pixel * ld + o * all + (n - first) * pixels * panel, false);
        }
      }
    });

    parallel_for(slices * call.groups * blocks, 1, [&](int64_t index, int64_t) {
      const int64_t block = index % blocks, group = index / blocks % call.groups, part = index / blocks / call.groups;
      const int64_t channel = block * channels, some = std::min(channels, g.channels - channel), rows = some * taps;
      T* const sums = partials + part * slice_size + (group * depth + channel * taps) * ld;
      if (begin == 0) std::memset(sums, 0, size_t(rows * ld) * sizeof(T));
      const Scratch columns(size_t(rows * row) * sizeof(T));
      const Scratch products(few ? size_t(rows * outputs) * sizeof(T) : 0);
      const Scratch widened(in_place ? 0 : size_t(joined * some * in_plane) * sizeof(T));
      Finish<T> accumulate;
      accumulate.beta = T(1);
      const int64_t last = std::min(end, begin + (part + 1) * slice);
      int64_t together;
      for (int64_t n = begin + part * slice; n < last; n += together) {
        together = std::min(joined, last - n);
        const auto source = [&](int64_t image) {
          return call.input_data + ((image * call.groups + group) * g.channels + channel) * in_plane * item;
        };
        for (int64_t i = 0; i < together && !in_place; i++)
          storage.load(source(n + i), 1, some * in_plane, widened.as<T>() + i * some * in_plane);
        for (int64_t pixel = 0; pixel < pixels; pixel += width) {
          const int64_t count = std::min(width, pixels - pixel), all = joined > 1 ? together * pixels : count;
          const auto gather = [&](const Columns& taken) {
            for (int64_t i = 0; i < together; i++)
              taken.gather(type.tiles,
                           in_place ? reinterpret_cast<const T*>(source(n + i)) : widened.as<T>() + i * some * in_plane,
                           some, columns.as<T>() + i * pixels);
          };
          keeps ? gather(kept[size_t(pixel / width)]) : gather(columns_at(pixel));
          if (few) {
            type.tiles.dots(rows, outputs, all, columns.as<T>(), row, place_of(n, group) + pixel, together * pixels,
                            products.as<T>(), outputs);
            for (int64_t i = 0; i < rows * outputs; i++) sums[i] = T(sums[i] + products.as<T>()[i]);
          } else {
            type.tiles.direct(rows, outputs, all, columns.as<T>(), row, 1, place_of(n, group) + pixel * ld, panel * all,
                              panel, sums, ld, accumulate);
          }
        }
      }
      // what no other piece adds to is turned while it is at hand
      if (slices == 1 && end == call.batch) finish(group, channel * taps, channel * taps + rows);
    });
  }
  if (slices == 1 && call.batch > 0 && pixels > 0) return;
  const int64_t tiles = (depth + kTurnedRows - 1) / kTurnedRows;
  parallel_for(call.groups * tiles, std::max<int64_t>(1, 32768 / (kTurnedRows * ld)), [&](int64_t begin, int64_t end) {
    for (int64_t index = begin; index < end; index++) {
      const int64_t first = index % tiles * kTurnedRows;
      finish(index / tiles, first, std::min(depth, first + kTurnedRows));
    }
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
