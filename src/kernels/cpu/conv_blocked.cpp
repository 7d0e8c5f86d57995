// The gathered product.
#include <cstring>

#include "core/parallel.h"
#include "kernels/cpu/conv.h"
#include "kernels/cpu/scratch.h"

namespace tabula::kernels {
namespace {

constexpr int64_t kFewPixels = 256;
constexpr int64_t kKeptColumns = 1 << 20;
constexpr int64_t kLightWeights = 128 << 10;
constexpr int64_t kFewParts = 4;
constexpr int64_t kRowsAtOnce = 112;  // packed weights that stay in the L2 cache beside the columns

// What one product covers: a chunk of an image's pixels, or all pixels of several small images, so that weights meet
// more than a few columns each time they are read.
struct Part {
  int64_t image, together, group;  // the first image, and how many
  int64_t pixel, each, count;      // the first pixel, how many of each image, and of all
};

template <class T>
class BlockedConv {
 public:
  BlockedConv(const ConvProduct<T>& product, const TileType<T>& type, const StorageKernels& storage, int64_t images,
              const T* source, char* out)
      : product_(product),
        type_(type),
        storage_(storage),
        images_(images),
        source_(source),
        out_(out),
        most_(8 * panel_),
        joined_(joined_images()),
        width_(joined_ > 1 ? joined_ * pixels_ : std::min(round_up(pixels_, panel_), most_)),
        chunks_(joined_ > 1 ? 1 : (pixels_ + width_ - 1) / width_),
        parts_((images + joined_ - 1) / joined_ * product.groups * chunks_),
        row_(round_up(width_, panel_) + vector_),
        stored_(stored_as_computed(product.dtype) && g_.grid == product.result),
        straight_(stored_ && joined_ == 1),
        packs_(images * pixels_ > kFewPixels || !product.plain_rows()),
        weights_(packs_ ? size_t(product.groups * rows_ * depth_) * sizeof(T) : 0),
        bias_(product.bias ? size_t(product.groups * rows_) * sizeof(T) : 0) {
    pack_weights();
    if (product.bias && straight_) storage.load(product.bias, 1, product.groups * rows_, bias_.template as<T>());
  }

  void run() const {
    // few pixels and many rows: the rows are shared out rather than the pixels
    if (parts_ < (light_ ? kFewParts : 2 * kFewParts) && rows_ > share_)
      for (int64_t index = 0; index < parts_; index++) run_shared(part_at(index));
    else
      run_parts();
  }

 private:
  // As many as a piece takes; but enough pieces, if weights that stay in the cache meet a panel in each of them.
  int64_t joined_images() const {
    const int64_t enough = std::max((images_ + kFewParts - 1) / kFewParts, (panel_ + pixels_ - 1) / pixels_);
    return std::clamp<int64_t>(most_ / pixels_, 1, light_ ? std::min(images_, enough) : images_);
  }

  void pack_weights() {
    const StorageKernels& plain = gemm_isa().storage[int(dtype_of<T>)];
    const int64_t passes = depth_ == 0 || !packs_ ? 0 : (depth_ + pass_length_ - 1) / pass_length_;
    parallel_for(product_.groups * passes, std::max<int64_t>(1, 65536 / std::max<int64_t>(1, rows_ * pass_length_)),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t index = begin; index < end; index++) {
                     const int64_t group = index / passes, k = index % passes * pass_length_;
                     const int64_t pass = std::min(pass_length_, depth_ - k);
                     const T* const from = product_.matrix + group * rows_ * depth_;
                     T* const to = weights_.template as<T>() + (group * depth_ + k) * rows_;
                     if (product_.plain_rows())
                       pack_rows(plain, type_, reinterpret_cast<const char*>(from + k), int64_t(sizeof(T)), depth_, 1,
                                 rows_, pass, false, to);
                     else
                       pack_channels(plain, from + k / taps_ * product_.channel_stride, pass, to);
                   }
                 });
  }

  // One channel after the other, as they lie in memory.
  void pack_channels(const StorageKernels& plain, const T* from, int64_t pass, T* to) const {
    for (int64_t k = 0; k < pass; k += taps_, from += product_.channel_stride)
      for (int64_t i = 0; i < rows_;) {
        const int64_t height = panel_rows(rows_ - i, type_.tiles.rows);
        plain.pack(reinterpret_cast<const char*>(from + i * product_.row_stride), product_.row_stride, 1, height,
                   height, taps_, to + i * pass + k * height, false);
        i += height;
      }
  }

  Part part_at(int64_t index) const {
    const int64_t chunk = index % chunks_, slot = index / chunks_, image = slot / product_.groups * joined_;
    const int64_t together = std::min(joined_, images_ - image), pixel = chunk * width_;
    const int64_t each = std::min(width_, pixels_ - pixel);
    return {image, together, slot % product_.groups, pixel, each, together * each};
  }
  // Products of whole vectors need no copy where the columns are the source as it lies.
  bool reads_source(const Part& part) const { return as_stored_ && joined_ == 1 && part.count % vector_ == 0; }
  const T* source_of(const Part& part, int64_t image, int64_t channel) const {
    return source_ + (((part.image + image) * product_.groups + part.group) * g_.channels + channel) * source_plane_;
  }
  char* result_of(int64_t image) const {
    return out_ + image * product_.groups * rows_ * result_plane_ * item_size(product_.dtype);
  }
  T* straight_sums(const Part& part) const {
    return reinterpret_cast<T*>(result_of(part.image)) + part.group * rows_ * result_plane_ + part.pixel;
  }

  // What the last vector has beyond the columns must be numbers that are fast to multiply.
  void clear_rest(const Part& part, T* columns) const {
    if (part.count % vector_)
      for (int64_t i = 0; i < pass_length_; i++)
        std::fill(columns + i * row_ + part.count, columns + i * row_ + round_up(part.count, vector_), T(0));
  }
  void gather(const Part& part, const Columns& taken, int64_t channel, int64_t some, T* columns) const {
    for (int64_t i = 0; i < part.together; i++)
      taken.gather(type_.tiles, source_of(part, i, channel), some, columns + i * part.each);
  }

  // Adds the products of channels [channel, channel + some) to rows [first, last) of the sums.
  void multiply(const Part& part, int64_t channel, int64_t some, const T* columns, int64_t first, int64_t last, T* sums,
                int64_t ld) const {
    const T* right = columns;
    int64_t right_row = row_;
    if (reads_source(part)) {
      right = source_of(part, 0, channel) + part.pixel;
      right_row = source_plane_;
    }
    Finish<T> finish;
    finish.beta = channel == 0 ? T(0) : T(1);
    const bool adds_bias = straight_ && product_.bias && channel + some == g_.channels;
    const int64_t pass = some * taps_;
    for (int64_t i = first; i < last; i += whole_) {
      if (adds_bias) finish.row_bias = bias_.template as<T>() + part.group * rows_ + i;
      const int64_t height = std::min(whole_, last - i);
      T* const to = sums + i * ld;
      if (packs_)
        type_.tiles.rows_of_b(height, part.count, pass,
                              weights_.template as<T>() + (part.group * depth_ + channel * taps_) * rows_ + i * pass,
                              right, right_row, to, ld, finish);
      else
        type_.tiles.direct(height, part.count, pass,
                           product_.matrix + (part.group * rows_ + i) * depth_ + channel * taps_, depth_, 1, right,
                           panel_, right_row, to, ld, finish);
    }
  }

  // Rows [first, last) of the sums, to where they belong.
  void write(const Part& part, const T* sums, int64_t ld, int64_t first, int64_t last) const {
    for (int64_t i = 0; i < part.together; i++)
      write_pixels(product_, storage_, sums + first * ld + i * part.each, ld, part.group * rows_ + first, last - first,
                   part.pixel, part.each, result_of(part.image + i));
  }
  // Nothing is summed: only the bias counts.
  void write_nothing(const Part& part) const {
    const Scratch zeros(size_t(rows_ * width_) * sizeof(T));
    std::memset(zeros.template as<T>(), 0, size_t(rows_ * width_) * sizeof(T));
    write(part, zeros.template as<T>(), width_, 0, rows_);
  }

  void run_parts() const {
    // the same runs serve all images, unless they are too many to keep
    const bool keeps = depth_ > 0 && parts_ > chunks_ && chunks_ * width_ * taps_ <= kKeptColumns;
    std::vector<Columns> kept(keeps ? size_t(chunks_) : 0);
    parallel_for(int64_t(kept.size()), std::max<int64_t>(1, 65536 / std::max<int64_t>(1, width_ * taps_)), [&](int64_t begin, int64_t end) {
      for (int64_t chunk = begin; chunk < end; chunk++) kept[size_t(chunk)] = columns_of(part_at(chunk));
    });
    parallel_for(parts_, 1, [&](int64_t index, int64_t) {
      const Part part = part_at(index);
      if (depth_ == 0) return write_nothing(part);
      const bool copies = !reads_source(part);
      const Scratch columns(copies ? size_t(row_ * pass_length_) * sizeof(T) : 0);
      const Scratch buffer(straight_ ? 0 : size_t(rows_ * width_) * sizeof(T));
      T* const sums = straight_ ? straight_sums(part) : buffer.template as<T>();
      const int64_t ld = straight_ ? result_plane_ : width_;
      if (copies) clear_rest(part, columns.template as<T>());
      const auto pass = [&](const Columns& taken) {
        for (int64_t c = 0; c < g_.channels; c += channels_) {
          const int64_t some = std::min(channels_, g_.channels - c);
          if (copies) gather(part, taken, c, some, columns.template as<T>());
          multiply(part, c, some, columns.template as<T>(), 0, rows_, sums, ld);
        }
      };
      keeps ? pass(kept[size_t(index % chunks_)]) : pass(columns_of(part));
      if (!straight_) write(part, sums, ld, 0, rows_);
    });
  }

  void run_shared(const Part& part) const {
    if (depth_ == 0) return write_nothing(part);
    const bool copies = !reads_source(part);
    const Scratch memory(copies ? size_t(row_ * pass_length_) * sizeof(T) : 0);
    const Scratch buffer(straight_ ? 0 : size_t(rows_ * width_) * sizeof(T));
    T* const columns = memory.template as<T>();
    T* const sums = straight_ ? straight_sums(part) : buffer.template as<T>();
    const int64_t ld = straight_ ? result_plane_ : width_;
    if (copies) clear_rest(part, columns);
    const Columns taken = columns_of(part);
    for (int64_t c = 0; c < g_.channels; c += channels_) {
      const int64_t some = std::min(channels_, g_.channels - c);
      if (copies)
        parallel_for(some, std::max<int64_t>(1, 16384 / (taps_ * part.count)), [&](int64_t begin, int64_t end) {
          gather(part, taken, c + begin, end - begin, columns + begin * taps_ * row_);
        });
      const bool last = c + some == g_.channels;
      parallel_for(rows_, share_, [&](int64_t begin, int64_t end) {
        multiply(part, c, some, columns, begin, end, sums, ld);
        if (last && !straight_) write(part, sums, ld, begin, end);
      });
    }
  }

  Columns columns_of(const Part& part) const {
    return Columns(g_, part.pixel, reads_source(part) ? 0 : part.each, row_, type_.tiles.longest_run);
  }

  const ConvProduct<T>& product_;
  const TileType<T>& type_;
  const StorageKernels& storage_;
  const int64_t images_;
  const T* const source_;
  char* const out_;
  const Gather& g_ = product_.gather;
  const int64_t panel_ = type_.tiles.cols, vector_ = panel_ / 2;
  const int64_t taps_ = g_.taps(), depth_ = g_.depth(), rows_ = product_.rows, pixels_ = g_.pixels();
  const int64_t source_plane_ = volume(g_.size), result_plane_ = volume(product_.result);
  // a pass is a whole number of channels
  const int64_t channels_ = depth_ == 0 ? 1 : std::clamp<int64_t>(kPassLength / taps_, 1, g_.channels);
  const int64_t pass_length_ = channels_ * taps_;
  // rows at a time: whole packed panels
  const int64_t whole_ = type_.tiles.rows * (kRowsAtOnce / type_.tiles.rows);
  const int64_t share_ = 2 * type_.tiles.rows;
  // weights that stay in the cache from part to part
  const bool light_ = rows_ * depth_ <= kLightWeights;
  const bool as_stored_ = taps_ == 1 && volume(g_.step) == 1 && g_.offsets[0] == Grid{} && g_.grid == g_.size;
  const int64_t most_, joined_, width_, chunks_, parts_;
  const int64_t row_;  // an odd number of vectors, so that a tile's rows do not compete for the same sets of the cache
  const bool stored_, straight_;
  const bool packs_;  // packed weights pay when enough pixels meet them
  const Scratch weights_, bias_;
};

}  // namespace

template <class T>
void conv_blocked(const ConvProduct<T>& product, const TileType<T>& type, const StorageKernels& storage, int64_t images,
                  const T* source, char* out) {
  BlockedConv<T>(product, type, storage, images, source, out).run();
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
