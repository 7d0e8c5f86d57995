#include "kernels/cpu/conv_gather.h"

#include <algorithm>

namespace tabula::kernels {
namespace {

constexpr int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

template <class T>
inline void copy_run(const T* from, int64_t step, int64_t n, T* to) {
  if (step == 1)
    for (int64_t i = 0; i < n; i++) to[i] = from[i];
  else if (step == 2)
    for (int64_t i = 0; i < n; i++) to[i] = from[2 * i];
  else
    for (int64_t i = 0; i < n; i++) to[i] = from[i * step];
}

}  // namespace

Gather forward_gather(const ConvCall& call) {
  Gather g;
  g.channels = call.in_channels / call.groups;
  std::copy_n(call.input, 3, g.size.begin());
  std::copy_n(call.output, 3, g.grid.begin());
  std::copy_n(call.stride, 3, g.step.begin());
  int64_t index = 0;
  for (int64_t z = 0; z < call.kernel[0]; z++)
    for (int64_t y = 0; y < call.kernel[1]; y++)
      for (int64_t x = 0; x < call.kernel[2]; x++) {
        g.offsets.push_back({z * call.dilation[0] - call.padding[0], y * call.dilation[1] - call.padding[1],
                             x * call.dilation[2] - call.padding[2]});
        g.weights.push_back(index++);
      }
  return g;
}

std::vector<Gather> backward_gathers(const ConvCall& call) {
  std::vector<Gather> all;
  const Grid kernel{call.kernel[0], call.kernel[1], call.kernel[2]};
  Grid r;
  for (r[0] = 0; r[0] < call.stride[0]; r[0]++)
    for (r[1] = 0; r[1] < call.stride[1]; r[1]++)
      for (r[2] = 0; r[2] < call.stride[2]; r[2]++) {
        Gather g;
        g.channels = call.out_channels / call.groups;
        g.step = {1, 1, 1};
        g.origin = r;
        for (int d = 0; d < 3; d++) {
          g.size[d] = call.output[d];
          g.spread[d] = call.stride[d];
          g.grid[d] = r[d] < call.input[d] ? (call.input[d] - r[d] + call.stride[d] - 1) / call.stride[d] : 0;
        }
        if (g.pixels() == 0) continue;
        for (int64_t tap = 0; tap < volume(kernel); tap++) {
          const Grid t{tap / (kernel[1] * kernel[2]), tap / kernel[2] % kernel[1], tap % kernel[2]};
          Grid offset;
          bool meets = true;
          for (int d = 0; d < 3; d++) {
            const int64_t position = r[d] + call.padding[d] - t[d] * call.dilation[d];
            offset[d] = floor_div(position, call.stride[d]);
            meets = meets && offset[d] * call.stride[d] == position;
          }
          if (!meets) continue;
          g.offsets.push_back(offset);
          g.weights.push_back(tap);
        }
        all.push_back(std::move(g));
      }
  return all;
}

template <class T>
void gather_columns(const Gather& g, const T* source, int64_t channel, int64_t count, int64_t pixel, int64_t width,
                    T* to, int64_t ld) {
  const int64_t plane = volume(g.size), taps = g.taps(), filled = std::min(width, g.pixels() - pixel);
  source += channel * plane;
  int64_t done = 0;
  for_runs(g.grid, pixel, filled, [&](const Grid& at, int64_t length) {
    for (int64_t tap = 0; tap < taps; tap++) {
      const Grid& offset = g.offsets[size_t(tap)];
      const int64_t z = at[0] * g.step[0] + offset[0], y = at[1] * g.step[1] + offset[1],
                    x = at[2] * g.step[2] + offset[2];
      int64_t low = 0, high = 0;
      if (z >= 0 && z < g.size[0] && y >= 0 && y < g.size[1]) {
        low = std::clamp<int64_t>(-floor_div(x, g.step[2]), 0, length);
        high = std::clamp<int64_t>(floor_div(g.size[2] - 1 - x, g.step[2]) + 1, low, length);
      }
      T* out = to + tap * ld + done;
      const T* from = source + (z * g.size[1] + y) * g.size[2] + x;
      for (int64_t c = 0; c < count; c++, out += taps * ld, from += plane) {
        for (int64_t i = 0; i < low; i++) out[i] = T(0);
        if (low < high) copy_run(from + low * g.step[2], g.step[2], high - low, out + low);
        for (int64_t i = high; i < length; i++) out[i] = T(0);
      }
    }
    done += length;
  });
  if (filled < width)
    for (int64_t row = 0; row < count * taps; row++) std::fill(to + row * ld + filled, to + row * ld + width, T(0));
}

template void gather_columns(const Gather&, const float*, int64_t, int64_t, int64_t, int64_t, float*, int64_t);
template void gather_columns(const Gather&, const double*, int64_t, int64_t, int64_t, int64_t, double*, int64_t);
template void gather_columns(const Gather&, const uint16_t*, int64_t, int64_t, int64_t, int64_t, uint16_t*, int64_t);
template void gather_columns(const Gather&, const uint32_t*, int64_t, int64_t, int64_t, int64_t, uint32_t*, int64_t);
template void gather_columns(const Gather&, const uint64_t*, int64_t, int64_t, int64_t, int64_t, uint64_t*, int64_t);

}  // namespace tabula::kernels
