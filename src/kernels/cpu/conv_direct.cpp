// Convolutions with one or two rows per group (depthwise ones), where a matrix product would waste its width.
#include <algorithm>
#include <cstring>

#include "core/parallel.h"
#include "kernels/cpu/conv.h"
#include "kernels/cpu/scratch.h"

namespace tabula::kernels {
namespace {

// Every source plane is copied once into a zero-padded plane whose rows are split by residue modulo the step, so that
// the elements one tap meets along a row are contiguous.
struct PaddedPlanes {
  const Gather& gather;
  Grid low{}, high{};  // the source positions that any tap meets: [low, high)
  Grid padded{};
  int64_t phase_width, row_width, plane;
  int64_t row_step, slab_step;   // between the rows, and the slabs, of neighbouring pixels
  std::vector<int64_t> offsets;  // of every (channel, tap), from the first pixel's place

  explicit PaddedPlanes(const Gather& g) : gather(g) {
    const int64_t step = g.step[2];
    for (int d = 0; d < 3 && g.taps() > 0; d++) {
      low[d] = high[d] = g.offsets[0][d];
      for (const Grid& offset : g.offsets) {
        low[d] = std::min(low[d], offset[d]);
        high[d] = std::max(high[d], offset[d]);
      }
      high[d] += (g.grid[d] - 1) * g.step[d] + 1;
    }
    phase_width = (high[2] - low[2] + step - 1) / step;
    row_width = phase_width * step;
    padded = {high[0] - low[0], high[1] - low[1], row_width};
    plane = volume(padded);
    row_step = g.step[1] * row_width;
    slab_step = g.step[0] * padded[1] * row_width;
    for (int64_t c = 0; c < g.channels; c++)
      for (const Grid& offset : g.offsets) {
        const int64_t x = offset[2] - low[2];
        offsets.push_back(c * plane + ((offset[0] - low[0]) * padded[1] + offset[1] - low[1]) * row_width +
                          x % step * phase_width + x / step);
      }
  }

  int64_t size() const { return gather.channels * plane; }

  template <class T>
  void clear(T* planes) const {
    std::memset(planes, 0, size_t(size()) * sizeof(T));
  }
  // Into planes that were cleared before the first of them: all sources leave the same places zero. `storage` is that
  // of the source's dtype.
  template <class T>
  void fill(const StorageKernels& storage, const char* source, int64_t item, T* planes) const {
    const Gather& g = gather;
    const int64_t step = g.step[2], source_plane = volume(g.size), end = std::min(high[2], g.size[2]);
    for (int64_t c = 0; c < g.channels; c++)
      for (int64_t z = std::max<int64_t>(low[0], 0); z < std::min(high[0], g.size[0]); z++)
        for (int64_t y = std::max<int64_t>(low[1], 0); y < std::min(high[1], g.size[1]); y++) {
          const char* line = source + (c * source_plane + (z * g.size[1] + y) * g.size[2]) * item;
          T* to = planes + c * plane + ((z - low[0]) * padded[1] + y - low[1]) * row_width;
          for (int64_t phase = 0; phase < step; phase++) {
            // the first position of this phase that is inside the source
            const int64_t skipped = std::max<int64_t>(0, (-(low[2] + phase) + step - 1) / step);
            const int64_t x = low[2] + phase + skipped * step;
            if (x < end)
              storage.load(line + x * item, step, (end - x + step - 1) / step, to + phase * phase_width + skipped);
          }
        }
  }
};

// Asks for memory that is read, or written, next, a part in each of so many steps: memory and processor then work side
// by side.
template <bool write>
class Ahead {
 public:
  Ahead(const void* from, int64_t bytes, int64_t steps)
      : at_(static_cast<const char*>(from)),
        end_(at_ + bytes),
        part_((bytes / std::max<int64_t>(1, steps) + 64) / 64 * 64) {}
  void step() {
    const char* const stop = std::min(end_, at_ + part_);
    for (; at_ < stop; at_ += 64) __builtin_prefetch(at_, write);
  }

 private:
  const char *at_, *end_;
  int64_t part_;
};

}  // namespace

template <class T>
void conv_direct(const ConvProduct<T>& product, const TileType<T>& type, const StorageKernels& storage, int64_t images,
                 const T* source, char* out) {
  const Gather& g = product.gather;
  const int64_t depth = g.depth(), rows = product.rows, pixels = g.pixels(), source_plane = volume(g.size);
  const int64_t result_group = rows * volume(product.result) * item_size(product.dtype);
  const int64_t result_image = product.groups * result_group;
  const StorageKernels& plain = gemm_isa().storage[int(dtype_of<T>)];
  const PaddedPlanes shape(g);
  const int64_t lines = rows * g.grid[0] * g.grid[1];
  parallel_for(images * product.groups, std::max<int64_t>(1, 32768 / (rows * std::max<int64_t>(1, depth) * pixels)),
               [&](int64_t begin, int64_t end) {
                 const Scratch memory(size_t(shape.size() + pixels) * sizeof(T));
                 T* const planes = memory.as<T>();
                 T* const sums = planes + shape.size();
                 shape.clear(planes);
                 for (int64_t slot = begin; slot < end; slot++) {
                   const int64_t image = slot / product.groups, group = slot % product.groups;
                   shape.fill(plain, reinterpret_cast<const char*>(source + slot * g.channels * source_plane),
                              int64_t(sizeof(T)), planes);
                   Ahead<false> next_source(source + (slot + 1) * g.channels * source_plane,
                                            slot + 1 < end ? g.channels * source_plane * int64_t(sizeof(T)) : 0, lines);
                   Ahead<true> results(out + slot * result_group, result_group, lines);
                   for (int64_t row = 0; row < rows; row++) {
                     const T* weights = product.matrix + (group * rows + row) * depth;
                     T* sum = sums;
                     for (int64_t z = 0; z < g.grid[0]; z++)
                       for (int64_t y = 0; y < g.grid[1]; y++, sum += g.grid[2]) {
                         next_source.step();
                         results.step();
                         type.tiles.taps(g.grid[2], depth, planes + z * shape.slab_step + y * shape.row_step,
                                         shape.offsets.data(), weights, sum);
                       }
                     write_pixels(product, storage, sums, pixels, group * rows + row, 1, 0, pixels,
                                  out + image * result_image);
                   }
                 }
               });
}

// With the gradient's rows laid out as far apart as the padded planes' rows, zeros between them, the gradient of one
// tap is one inner product over whole planes. Images are added up in order.
template <class T>
void conv_weight_direct(const ConvCall& call, const TileType<T>& type) {
  const StorageKernels& storage = gemm_isa().storage[int(call.dtype)];
  const Gather g = forward_gather(call);
  const PaddedPlanes shape(g);
  const int64_t item = item_size(call.dtype), outputs = call.out_channels / call.groups, depth = g.depth();
  const int64_t pixels = g.pixels(), in_plane = volume(g.size);
  const int64_t spread = (g.grid[0] - 1) * shape.slab_step + (g.grid[1] - 1) * shape.row_step + g.grid[2];
  parallel_for(call.groups, 1, [&](int64_t group, int64_t) {
    const Scratch memory(size_t(shape.size() + spread + outputs * depth) * sizeof(T));
    T* const planes = memory.as<T>();
    T* const grad = planes + shape.size();
    T* const sums = grad + spread;
    shape.clear(planes);
    std::memset(grad, 0, size_t(spread + outputs * depth) * sizeof(T));
    for (int64_t n = 0; n < call.batch; n++) {
      shape.fill(storage, call.input_data + (n * call.groups + group) * g.channels * in_plane * item, item, planes);
      for (int64_t o = 0; o < outputs; o++) {
        const char* from = call.grad_output + ((n * call.groups + group) * outputs + o) * pixels * item;
        for (int64_t z = 0; z < g.grid[0]; z++)
          for (int64_t y = 0; y < g.grid[1]; y++, from += g.grid[2] * item)
            storage.load(from, 1, g.grid[2], grad + z * shape.slab_step + y * shape.row_step);
        for (int64_t k = 0; k < depth; k++) {
          T product;
          type.tiles.dots(1, 1, spread, grad, spread, planes + shape.offsets[size_t(k)], spread, &product, 1);
          sums[o * depth + k] = T(sums[o * depth + k] + product);
        }
      }
    }
    GemmCall place;
    place.dtype = call.dtype;
    place.c = call.out + group * outputs * depth * item;
    place.c_col = 1;
    storage.write(sums, outputs * depth, 0, 1, 0, outputs * depth, place);
  });
}

#define TABULA_CONV(T)                                                                                           \
  template void conv_direct(const ConvProduct<T>&, const TileType<T>&, const StorageKernels&, int64_t, const T*, \
                            char*);                                                                              \
  template void conv_weight_direct(const ConvCall&, const TileType<T>&);
TABULA_CONV(float)
TABULA_CONV(double)
TABULA_CONV(uint16_t)
TABULA_CONV(uint32_t)
TABULA_CONV(uint64_t)
#undef TABULA_CONV

}  // namespace tabula::kernels
