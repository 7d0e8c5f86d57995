#include "kernels/cpu/conv_gather.h"

#include <algorithm>

namespace tabula::kernels {
namespace {

constexpr int64_t kLanes = 16;  // at most, of a register

constexpr int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

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

Columns::Columns(const Gather& g, int64_t pixel, int64_t count, int64_t ld, int64_t longest)
    : plane_(volume(g.size)), row_(g.taps() * ld), step_(g.step[2]) {
  if (count == 0) return;
  runs_.reserve(size_t(g.taps() * ((count - 1) / g.grid[2] + 2 + count / longest)));
  // pixels as far apart as what they take, whichever row they are in: then a register may reach over several rows
  if (longest <= kLanes && g.grid == g.size && volume(g.step) == 1)
    add_registers(g, pixel, count, ld, longest);
  else
    add_rows(g, pixel, count, ld, longest);
}

void Columns::add_registers(const Gather& g, int64_t pixel, int64_t count, int64_t ld, int64_t longest) {
  const auto inside = [](int64_t at, int64_t size) { return at >= 0 && at < size; };
  for (int64_t tap = 0; tap < g.taps(); tap++) {
    const Grid& offset = g.offsets[size_t(tap)];
    const int64_t shift = (offset[0] * g.size[1] + offset[1]) * g.size[2] + offset[2];
    for (int64_t first = 0; first < count; first += longest) {
      const int64_t length = std::min(longest, count - first);
      uint32_t lanes = 0;
      for (int64_t i = 0; i < length; i++) {
        const int64_t at = pixel + first + i, x = at % g.size[2], row = at / g.size[2];
        const bool there = inside(x + offset[2], g.size[2]) && inside(row % g.size[1] + offset[1], g.size[1]) &&
                           inside(row / g.size[1] + offset[0], g.size[0]);
        lanes |= uint32_t(there) << i;
      }
      runs_.push_back({pixel + first + shift, int32_t(tap * ld + first), 0, 0, int32_t(length), lanes});
    }
  }
}

void Columns::add_rows(const Gather& g, int64_t pixel, int64_t count, int64_t ld, int64_t longest) {
  for (int64_t tap = 0; tap < g.taps(); tap++) {
    const Grid& offset = g.offsets[size_t(tap)];
    int64_t to = tap * ld;
    for_runs(g.grid, pixel, count, [&](const Grid& at, int64_t run) {
      const int64_t z = at[0] * g.step[0] + offset[0], y = at[1] * g.step[1] + offset[1];
      const int64_t x = at[2] * g.step[2] + offset[2];
      int64_t begin = 0, end = 0;  // of what lies inside
      if (z >= 0 && z < g.size[0] && y >= 0 && y < g.size[1]) {
        begin = std::clamp<int64_t>(-floor_div(x, step_), 0, run);
        end = std::clamp<int64_t>(floor_div(g.size[2] - 1 - x, step_) + 1, begin, run);
      }
      const int64_t line = (z * g.size[1] + y) * g.size[2] + x;
      for (int64_t first = 0; first < run; first += longest, to += longest) {
        const int64_t length = std::min(longest, run - first);
        const int64_t low = std::clamp<int64_t>(begin - first, 0, length);
        const int64_t high = std::clamp<int64_t>(end - first, low, length);
        const uint32_t lanes = longest <= kLanes ? ((1u << high) - 1) & ~((1u << low) - 1) : 0;
        runs_.push_back(
            {low < high ? line + first * step_ : 0, int32_t(to), int32_t(low), int32_t(high), int32_t(length), lanes});
      }
      to += run - (run + longest - 1) / longest * longest;
    });
  }
}

}  // namespace tabula::kernels
