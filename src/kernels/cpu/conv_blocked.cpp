// The gathered product.
#include <cstring>

#include "core/parallel.h"
#include "kernels/cpu/conv.h"
#include "kernels/cpu/scratch.h"

namespace tabula::kernels {
namespace {

constexpr int64_t kFewPixels = 256;
constexpr int64_t kRowsAtOnce = 112;  // packed weights that stay in the L2 cache beside the columns

}  // namespace

template <class T>
void conv_blocked(const ConvProduct<T>& product, const TileType<T>& type, const StorageKernels& storage, int64_t images,
                  const T* source, char* out) {
  const Gather& g = product.gather;
  const int64_t panel = type.tiles.cols, taps = g.taps(), depth = g.depth(), rows = product.rows, pixels = g.pixels();
  const int64_t source_plane = volume(g.size), result_plane = volume(product.result);
  const int64_t item = item_size(product.dtype);
  const bool in_place = stored_as_computed(product.dtype) && g.grid == product.result;
  // a pass is a whole number of channels
  const int64_t channels = depth == 0 ? 1 : std::clamp<int64_t>(kPassLength / taps, 1, g.channels);
  const int64_t pass_length = channels * taps;
  const bool as_stored = taps == 1 && volume(g.step) == 1 && g.offsets[0] == Grid{} && g.grid == g.size;

  const StorageKernels& plain = gemm_isa().storage[int(dtype_of<T>)];
  // packed weights pay when enough pixels meet them
  const bool packs = images * pixels > kFewPixels;
  const Scratch packed(packs ? size_t(product.groups * rows * depth) * sizeof(T) : 0);
  T* const weights = packed.as<T>();
  const int64_t passes = depth == 0 || !packs ? 0 : (depth + pass_length - 1) / pass_length;
  parallel_for(product.groups * passes, std::max<int64_t>(1, 65536 / std::max<int64_t>(1, rows * pass_length)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t index = begin; index < end; index++) {
                   const int64_t group = index / passes, k = index % passes * pass_length;
                   pack_rows(plain, type, reinterpret_cast<const char*>(product.matrix + group * rows * depth + k),
                             int64_t(sizeof(T)), depth, 1, rows, std::min(pass_length, depth - k), false,
                             weights + (group * depth + k) * rows);
                 }
               });
  const Scratch widened_bias(product.bias ? size_t(product.groups * rows) * sizeof(T) : 0);
  if (product.bias && in_place) storage.load(product.bias, 1, product.groups * rows, widened_bias.as<T>());

  const int64_t width = std::min(round_up(pixels, panel), 8 * panel), chunks = (pixels + width - 1) / width;
  // an odd number of vectors, so that a tile's rows do not compete for the same sets of the cache
  const int64_t vector = panel / 2, row = width + vector;
  // few pixels and many rows: the rows are shared out as well, each share aligned to whole packed panels
  const int64_t whole = type.tiles.rows * (kRowsAtOnce / type.tiles.rows);
  const int64_t shares = images * product.groups * chunks < 8 ? (rows + whole - 1) / whole : 1;
  const int64_t share = shares == 1 ? rows : whole;
  parallel_for(images * product.groups * chunks * shares, 1, [&](int64_t index, int64_t) {
    const int64_t part = index % shares, chunk = index / shares % chunks, slot = index / shares / chunks;
    const int64_t image = slot / product.groups, group = slot % product.groups;
    const int64_t pixel = chunk * width, count = std::min(width, pixels - pixel);
    const int64_t first = part * share, last = std::min(rows, first + share);
    const T* from = source + (image * product.groups + group) * g.channels * source_plane;
    char* result = out + image * product.groups * rows * result_plane * item;
    const Scratch columns(size_t(row * pass_length) * sizeof(T));
    const Scratch buffer(in_place ? 0 : size_t((last - first) * width) * sizeof(T));
    T* sums = in_place ? reinterpret_cast<T*>(result) + (group * rows + first) * result_plane + pixel : buffer.as<T>();
    const int64_t ld = in_place ? result_plane : width;
    if (depth == 0 && !in_place) std::memset(sums, 0, size_t((last - first) * width) * sizeof(T));
    for (int64_t c = 0; c < g.channels && depth > 0; c += channels) {
      const int64_t some = std::min(channels, g.channels - c), pass = some * taps;
      const T* right = columns.as<T>();
      int64_t right_row = row;
      if (as_stored && count % vector == 0) {
        right = from + c * source_plane + pixel;
        right_row = source_plane;
      } else {
        gather_columns(g, from, c, some, pixel, round_up(count, vector), columns.as<T>(), row);
      }
      Finish<T> finish;
      finish.beta = c == 0 ? T(0) : T(1);
      const bool adds_bias = in_place && product.bias && c + some == g.channels;
      for (int64_t i = first; i < last; i += whole) {
        if (adds_bias) finish.row_bias = widened_bias.as<T>() + group * rows + i;
        const int64_t height = std::min(whole, last - i);
        T* const to = sums + (i - first) * ld;
        if (packs)
          type.tiles.rows_of_b(height, count, pass, weights + (group * depth + c * taps) * rows + i * pass, right,
                               right_row, to, ld, finish);
        else
          type.tiles.direct(height, count, pass, product.matrix + (group * rows + i) * depth + c * taps, depth, 1,
                            right, panel, right_row, to, ld, finish);
      }
    }
    if (depth == 0 && in_place) {
      for (int64_t i = first; i < last; i++)
        std::fill_n(sums + (i - first) * ld, count, product.bias ? widened_bias.as<T>()[group * rows + i] : T(0));
    } else if (!in_place) {
      write_pixels(product, storage, sums, ld, group * rows + first, last - first, pixel, count, result);
    }
  });
}

#define TABULA_CONV(T)                                                                                            \
  template void conv_blocked(const ConvProduct<T>&, const TileType<T>&, const StorageKernels&, int64_t, const T*, \
                             char*);
TABULA_CONV(float)
TABULA_CONV(double)
TABULA_CONV(uint16_t)
TABULA_CONV(uint32_t)
TABULA_CONV(uint64_t)
#undef TABULA_CONV

}  // namespace tabula::kernels
