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

  // the columns of one piece: a chunk of an image's pixels, or all pixels of several small images, so that weights
  // meet more than a few columns each time they are read
  const int64_t most = 8 * panel, joined = std::clamp<int64_t>(most / pixels, 1, images);
  const int64_t width = joined > 1 ? joined * pixels : std::min(round_up(pixels, panel), most);
  const int64_t chunks = joined > 1 ? 1 : (pixels + width - 1) / width, batches = (images + joined - 1) / joined;
  const bool straight = in_place && joined == 1;
  // an odd number of vectors, so that a tile's rows do not compete for the same sets of the cache
  const int64_t vector = panel / 2, row = round_up(width, 2 * vector) + vector;
  // few pixels and many rows: the rows are shared out as well, each share aligned to whole packed panels
  const int64_t whole = type.tiles.rows * (kRowsAtOnce / type.tiles.rows);
  const int64_t shares = batches * product.groups * chunks < 8 ? (rows + whole - 1) / whole : 1;
  const int64_t share = shares == 1 ? rows : whole;
  parallel_for(batches * product.groups * chunks * shares, 1, [&](int64_t index, int64_t) {
    const int64_t part = index % shares, chunk = index / shares % chunks, slot = index / shares / chunks;
    const int64_t image = slot / product.groups * joined, group = slot % product.groups;
    const int64_t together = std::min(joined, images - image), pixel = chunk * width;
    const int64_t each = std::min(width, pixels - pixel), count = joined > 1 ? together * pixels : each;
    const int64_t first = part * share, last = std::min(rows, first + share);
    const int64_t source_image = product.groups * g.channels * source_plane;
    const int64_t result_image = product.groups * rows * result_plane;
    const T* from = source + image * source_image + group * g.channels * source_plane;
    char* result = out + image * result_image * item;
    const Scratch columns(size_t(row * pass_length) * sizeof(T));
    const Scratch buffer(straight ? 0 : size_t((last - first) * width) * sizeof(T));
    T* sums = straight ? reinterpret_cast<T*>(result) + (group * rows + first) * result_plane + pixel : buffer.as<T>();
    const int64_t ld = straight ? result_plane : width;
    if (depth == 0 && !straight) std::memset(sums, 0, size_t((last - first) * width) * sizeof(T));
    const bool reads_source = as_stored && joined == 1 && count % vector == 0;
    if (!reads_source && count % vector)
      for (int64_t i = 0; i < pass_length; i++)
        std::fill(columns.as<T>() + i * row + count, columns.as<T>() + i * row + round_up(count, vector), T(0));
    const Columns taken(g, pixel, reads_source ? 0 : each, row, type.tiles.longest_run);
    for (int64_t c = 0; c < g.channels && depth > 0; c += channels) {
      const int64_t some = std::min(channels, g.channels - c), pass = some * taps;
      const T* right = columns.as<T>();
      int64_t right_row = row;
      if (reads_source) {
        right = from + c * source_plane + pixel;
        right_row = source_plane;
      } else {
        for (int64_t i = 0; i < together; i++)
          taken.gather(type.tiles, from + i * source_image + c * source_plane, some, columns.as<T>() + i * each);
      }
      Finish<T> finish;
      finish.beta = c == 0 ? T(0) : T(1);
      const bool adds_bias = straight && product.bias && c + some == g.channels;
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
    if (depth == 0 && straight) {
      for (int64_t i = first; i < last; i++)
        std::fill_n(sums + (i - first) * ld, count, product.bias ? widened_bias.as<T>()[group * rows + i] : T(0));
    } else if (!straight) {
      for (int64_t i = 0; i < together; i++)
        write_pixels(product, storage, sums + i * each, ld, group * rows + first, last - first, pixel, each,
                     result + i * result_image * item);
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
