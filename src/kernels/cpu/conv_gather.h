// A convolution seen as a product: rows (channel, tap) of a matrix that is never stored whole, columns pixels of a
// grid.
#pragma once

#include <array>
#include <vector>

#include "kernels/conv.h"
#include "kernels/cpu/gemm_isa.h"

namespace tabula::kernels {

using Grid = std::array<int64_t, 3>;

inline int64_t volume(const Grid& g) { return g[0] * g[1] * g[2]; }

// Element ((channel, tap), pixel) is source[channel][pixel * step + offset(tap)], zero outside `size`.
struct Gather {
  int64_t channels = 0;
  Grid size{}, grid{}, step{};
  std::vector<Grid> offsets;       // one per tap
  std::vector<int64_t> weights;    // the tap's index in the kernel
  Grid origin{}, spread{1, 1, 1};  // pixel i of the grid is pixel origin + i * spread of the result

  int64_t taps() const { return int64_t(offsets.size()); }
  int64_t depth() const { return channels * taps(); }
  int64_t pixels() const { return volume(grid); }
};

Gather forward_gather(const ConvCall& call);
// The gradient of a strided convolution is one ordinary convolution per residue of the input position modulo the
// stride: each residue meets its own subset of the taps.
std::vector<Gather> backward_gathers(const ConvCall& call);

// Calls f(first, at, length) for each stretch of pixels [pixel, pixel + count) that is one run along the last
// dimension.
template <class F>
void for_runs(const Grid& grid, int64_t pixel, int64_t count, F&& f) {
  while (count > 0) {
    const int64_t x = pixel % grid[2], row = pixel / grid[2];
    const int64_t length = grid[2] - x < count ? grid[2] - x : count;
    f(Grid{row / grid[1], row % grid[1], x}, length);
    pixel += length;
    count -= length;
  }
}

// Which elements the columns of pixels [pixel, pixel + count) take, found once for all channels and images.
class Columns {
 public:
  Columns() = default;
  // `ld` lies between the rows of the columns; no run is longer than `longest`.
  Columns(const Gather& gather, int64_t pixel, int64_t count, int64_t ld, int64_t longest);

  // Rows (channel, tap) of `channels` channels from `source` on, in the compute type: to[row * ld + i].
  template <class T>
  void gather(const TileKernels<T>& tiles, const T* source, int64_t channels, T* to) const {
    for (int64_t c = 0; c < channels; c++, source += plane_, to += row_)
      tiles.columns(runs_.data(), int64_t(runs_.size()), source, step_, to);
  }

 private:
  void add_registers(const Gather& gather, int64_t pixel, int64_t count, int64_t ld, int64_t longest);
  void add_rows(const Gather& gather, int64_t pixel, int64_t count, int64_t ld, int64_t longest);

  int64_t plane_ = 0, row_ = 0, step_ = 1;
  std::vector<ColumnRun> runs_;
};

}  // namespace tabula::kernels
