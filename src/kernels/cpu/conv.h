// The pieces of the convolution driver.
#pragma once

#include "kernels/cpu/conv_gather.h"
#include "kernels/cpu/gemm_blocks.h"

namespace tabula::kernels {

// One gathered product per image and group: result[rows of the group] = matrix * columns + bias.
template <class T>
struct ConvProduct {
  const Gather& gather;
  int64_t groups, rows;  // rows of the result per group
  const T* matrix;       // [groups], then each row's channels, whose taps lie together
  int64_t row_stride, channel_stride;
  Grid result;  // the result's spatial sizes
  DType dtype;
  const char* bias;  // in dtype, one value per row of all groups, or null

  bool plain_rows() const { return channel_stride == gather.taps() && row_stride == gather.depth(); }
};

// `source` holds `images` images in the compute type; `out` is the same number of results in dtype.
template <class T>
void conv_blocked(const ConvProduct<T>& product, const TileType<T>& type, const StorageKernels& storage, int64_t images,
                  const T* source, char* out);
// The same for one or two rows per group, which are plain ones, where a matrix product would waste its width: depthwise
// convolutions.
template <class T>
void conv_direct(const ConvProduct<T>& product, const TileType<T>& type, const StorageKernels& storage, int64_t images,
                 const T* source, char* out);

// rows x count sums that begin at `pixel` of the grid, into their places of the result. `row` counts over all groups.
template <class T>
void write_pixels(const ConvProduct<T>& product, const StorageKernels& storage, const T* sums, int64_t ld, int64_t row,
                  int64_t rows, int64_t pixel, int64_t count, char* image) {
  const Gather& g = product.gather;
  const Grid& size = product.result;
  GemmCall place;
  place.dtype = product.dtype;
  place.c_row = volume(size);
  place.c_col = g.grid == size ? 1 : g.spread[2];
  const int64_t item = item_size(product.dtype);
  place.bias = product.bias ? product.bias + row * item : nullptr;
  place.bias_row = 1;
  auto write = [&](const Grid& at, int64_t length) {
    const int64_t z = g.origin[0] + at[0] * g.spread[0], y = g.origin[1] + at[1] * g.spread[1],
                  x = g.origin[2] + at[2] * g.spread[2];
    place.c = image + (row * volume(size) + (z * size[1] + y) * size[2] + x) * item;
    storage.write(sums, ld, 0, rows, 0, length, place);
    sums += length;
  };
  if (g.grid == size)
    write({pixel / (size[1] * size[2]), pixel / size[2] % size[1], pixel % size[2]}, count);
  else
    for_runs(g.grid, pixel, count, write);
}

void conv_weight_real(const ConvCall& call);

// The weight's gradient for one or two outputs per group: inner products of shifted planes.
template <class T>
void conv_weight_direct(const ConvCall& call, const TileType<T>& type);

}  // namespace tabula::kernels
