// The reduction driver: brings any view to one of two shapes of work (rows of elements to reduce, or columns side by
// side), cuts that into pieces whose size depends on the shape alone, and combines the pieces in order.
#include "kernels/reduce.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "core/parallel.h"
#include "core/small_vec.h"
#include "kernels/cpu/reduce_ops.h"

namespace tabula::kernels {
namespace {

constexpr int64_t kChunk = 32768;         // elements of a row that one piece reduces
constexpr int64_t kPieceElements = 65536;
constexpr int64_t kStaged = 1024;         // elements staged at a time
constexpr int64_t kStagedWidth = 256;     // columns of a staged tile
constexpr int64_t kStagedRows = 16;
constexpr int64_t kMinColumns = 8;        // fewer are reduced one after the other
constexpr int64_t kSplitTiles = 128;      // tiles of one column range that rows are cut into at most
constexpr int64_t kNarrow = 64;           // contiguous rows up to this are joined into wider ones
constexpr int64_t kJoined = 512;
constexpr int64_t kShortRun = 64;         // runs below this are gathered rather than passed on one by one

struct Loop {
  int64_t size, in, out;
};
using Loops = SmallVec<Loop, 6>;

struct Work {
  // leaves the loops' storage unwritten: that is time which tiny inputs would notice
  Work(const ReduceOps& ops, const ReduceCall& call, DType compute) : ops(ops), call(&call), compute(compute) {}
  const ReduceOps& ops;
  const ReduceCall* call;
  Loops kept, over;    // outermost first
  int64_t outputs, n;  // products of their sizes
  DType compute;
  int64_t in_size;
  bool direct;         // elements are of the compute type already
  bool absolute;       // complex elements count by their absolute values
  bool indexed;        // the result depends on the order of the elements
  bool flip;           // uint64 is ordered as int64 with the top bit flipped
  void (*stage)(DType, const char*, int64_t, int64_t, DType, bool, void*);
};

DType compute_for(DType d) {
  if (d == DType::Float64 || d == DType::Complex64 || d == DType::Complex128) return d;
  return is_floating(d) ? DType::Float32 : d == DType::Complex32 ? DType::Complex64 : DType::Int64;
}

Core resolve_norm(double p) {
  if (p == 0) return Core::nonzero;
  if (p == 1) return Core::norm1;
  if (p == 2) return Core::norm2;
  if (std::isinf(p)) return p > 0 ? Core::abs_max : Core::abs_min;
  return Core::norm_p;
}

Core resolve(const ReduceCall& call) {
  const bool to_bool = call.out_dtype == DType::Bool;  // sum(dtype=bool) casts its elements, then adds: any
  switch (call.op) {
    case Reduce::sum: return to_bool ? Core::any : Core::sum;
    case Reduce::nansum: return to_bool ? Core::any : Core::nansum;
    case Reduce::prod: return to_bool ? Core::all : Core::prod;
    case Reduce::mean: return Core::mean;
    case Reduce::amax: return Core::max;
    case Reduce::amin: return Core::min;
    case Reduce::all: return Core::all;
    case Reduce::any: return Core::any;
    case Reduce::argmax: return Core::arg_max;
    case Reduce::argmin: return Core::arg_min;
    case Reduce::max: return Core::max_with_index;
    case Reduce::min: return Core::min_with_index;
    case Reduce::norm_p: return resolve_norm(call.params[0]);
    case Reduce::norm2: return Core::norm2;
    case Reduce::var:
    case Reduce::var_mean: return Core::var;
    case Reduce::std:
    case Reduce::std_mean: return Core::std;
    case Reduce::count_nonzero: return Core::nonzero;
    case Reduce::logsumexp: return Core::logsumexp;
    case Reduce::aminmax: return Core::both;
  }
  return Core::sum;
}

bool is_count(Core op) { return op == Core::nonzero || op == Core::all || op == Core::any; }
bool is_order(Core op) { return op >= Core::max && op <= Core::both; }
bool has_index(Core op) { return op >= Core::arg_max && op <= Core::min_with_index; }
bool is_norm(Core op) {
  return op == Core::norm1 || op == Core::norm2 || op == Core::norm_p || op == Core::abs_max || op == Core::abs_min;
}

// The table of kernels for this machine, filled once.
const ReduceOps& kernel_for(Core op, DType compute) {
  static const auto table = [] {
    auto all = std::make_unique<ReduceOps[]>(size_t(Core::Count) * kDTypes);
    for (int i = 0; i < int(Core::Count); i++) {
      for (DType d : {DType::Bool, DType::Int32, DType::Int64, DType::Float32, DType::Float64, DType::Complex64,
                      DType::Complex128}) {
        const Core op = Core(i);
        auto* make = is_order(op)         ? TABULA_PICK(order_ops)
                     : op >= Core::var    ? TABULA_PICK(moment_ops)
                                          : TABULA_PICK(sum_ops);
        all[size_t(i) * kDTypes + size_t(d)] = make(op, d);
      }
    }
    return all;
  }();
  return table[size_t(op) * kDTypes + size_t(compute)];
}

const char* op_name(Reduce op) {
  constexpr const char* names[] = {"sum",    "nansum", "prod", "mean", "amax", "amin", "all",  "any",
                                   "argmax", "argmin", "max",  "min",  "norm", "norm", "var",  "std",
                                   "var",    "std",    "count_nonzero", "logsumexp", "aminmax"};
  return names[int(op)];
}

template <class From>
void store_as(const void* src, int64_t n, DType to, char* dst, int64_t stride) {
  const From* p = static_cast<const From*>(src);
  visit(to, "reduce", [&]<class To>() {
    for (int64_t i = 0; i < n; i++) reinterpret_cast<To*>(dst)[i * stride] = convert<To>(p[i]);
  });
}

void store(DType from, const void* src, int64_t n, DType to, char* dst, int64_t stride) {
  switch (from) {
    case DType::Bool: return store_as<bool>(src, n, to, dst, stride);
    case DType::Int32: return store_as<int32_t>(src, n, to, dst, stride);
    case DType::Int64: return store_as<int64_t>(src, n, to, dst, stride);
    case DType::Float32: return store_as<float>(src, n, to, dst, stride);
    case DType::Float64: return store_as<double>(src, n, to, dst, stride);
    case DType::Complex64: return store_as<c64>(src, n, to, dst, stride);
    default: return store_as<c128>(src, n, to, dst, stride);
  }
}

void flip_top_bit(void* data, int64_t n) {
  for (int64_t i = 0; i < n; i++) static_cast<uint64_t*>(data)[i] ^= uint64_t(1) << 63;
}

// Writes `count` finished states to outputs `stride` apart, from element `offset`.
void finish(const Work& w, const char* states, int64_t count, int64_t offset, int64_t stride) {
  const ReduceCall& call = *w.call;
  char* out = call.out + offset * item_size(call.out_dtype);
  char* out2 = call.out2 ? call.out2 + offset * item_size(call.out2_dtype) : nullptr;
  const bool plain = stride == 1 || count == 1;
  const bool same = call.out_dtype == w.ops.result && (!out2 || call.out2_dtype == w.ops.result2);
  const bool in_place = plain && same && !w.flip;
  if (in_place) return w.ops.finish(states, count, w.n, call.params, out, out2);
  alignas(16) char block[256 * 16], block2[256 * 16];
  for (int64_t i = 0; i < count; i += 256) {
    const int64_t m = std::min<int64_t>(count - i, 256);
    w.ops.finish(states + i * w.ops.state_size, m, w.n, call.params, block, out2 ? block2 : nullptr);
    if (w.flip && w.ops.result == DType::Int64 && call.out_dtype == DType::UInt64) flip_top_bit(block, m);
    if (w.flip && out2 && call.out2_dtype == DType::UInt64) flip_top_bit(block2, m);
    store(w.ops.result, block, m, call.out_dtype, out + i * stride * item_size(call.out_dtype), stride);
    if (out2) store(w.ops.result2, block2, m, call.out2_dtype, out2 + i * stride * item_size(call.out2_dtype), stride);
  }
}

void stage(const Work& w, const char* src, int64_t stride, int64_t n, void* dst) {
  w.stage(w.call->in_dtype, src, stride, n, w.compute, w.absolute, dst);
  if (w.flip) flip_top_bit(dst, n);
}

// Where element `index` of the row-major order of `loops` lies.
struct Place {
  int64_t in = 0, out = 0;
};
Place place(const Loops& loops, int64_t index) {
  Place at;
  for (int64_t d = loops.size() - 1; d >= 0 && index > 0; d--) {
    const int64_t q = index / loops[d].size, r = index - q * loops[d].size;
    at.in += r * loops[d].in;
    at.out += r * loops[d].out;
    index = q;
  }
  return at;
}

// Calls f(pointer offset, index, run) for the runs of the innermost reduced loop that make up [begin, end).
template <class F>
void each_run(const Loops& over, int64_t begin, int64_t end, F&& f) {
  const int64_t inner = over.empty() ? 1 : over.back().size;
  while (begin < end) {
    const int64_t run = std::min(inner - begin % inner, end - begin);
    f(place(over, begin).in, begin, run);
    begin += run;
  }
}

// Reduces elements [begin, end) of one output's row into its state.
void reduce_row(const Work& w, const char* row, int64_t begin, int64_t end, char* state) {
  const int64_t stride = w.over.empty() ? 1 : w.over.back().in;
  const bool dense = stride == 1 || w.over.back().size == 1, plain = w.direct && dense;
  const bool bfloat16 = dense && w.call->in_dtype == DType::BFloat16 && w.compute == DType::Float32 && w.ops.bfloat16_row;
  alignas(64) char buffer[kStaged * 16];
  const int64_t width = item_size(w.compute);
  int64_t filled = 0;
  auto flush = [&](int64_t next) {
    if (filled > 0) w.ops.rows(buffer, 1, 0, filled, next - filled, state, w.call->params);
    filled = 0;
  };
  each_run(w.over, begin, end, [&](int64_t offset, int64_t index, int64_t run) {
    const char* p = row + offset * w.in_size;
    if (plain && run >= kShortRun) {
      flush(index);
      w.ops.rows(p, 1, 0, run, index, state, w.call->params);
      return;
    }
    if (bfloat16 && run >= kShortRun) {
      flush(index);
      w.ops.bfloat16_row(p, run, state);
      return;
    }
    while (run > 0) {
      const int64_t m = std::min(run, kStaged - filled);
      stage(w, p, stride, m, buffer + filled * width);
      filled += m;
      index += m;
      run -= m;
      p += m * stride * w.in_size;
      if (filled == kStaged) flush(index);
    }
  });
  flush(end);
}

void reduce_rows(const Work& w) {
  const ReduceCall& call = *w.call;
  const int64_t inner = w.kept.empty() ? 1 : w.kept.back().size;
  const int64_t in_step = w.kept.empty() ? 0 : w.kept.back().in, out_step = w.kept.empty() ? 1 : w.kept.back().out;
  if (w.n <= kChunk) {
    const bool plain = w.direct && w.over.size() <= 1 && (w.over.empty() || w.over.back().in == 1);
    parallel_for(w.outputs, std::max<int64_t>(1, kChunk / std::max<int64_t>(w.n, 1)), [&](int64_t begin, int64_t end) {
      alignas(64) char states[kStaged * kStateBytes];
      while (begin < end) {
        const int64_t run = std::min({inner - begin % inner, end - begin, kStaged});
        const Place at = place(w.kept, begin);
        const char* p = call.in + at.in * w.in_size;
        w.ops.init(states, run);
        if (plain)
          w.ops.rows(p, run, in_step, w.n, 0, states, call.params);
        else if (w.n > 0)
          for (int64_t i = 0; i < run; i++)
            reduce_row(w, p + i * in_step * w.in_size, 0, w.n, states + i * w.ops.state_size);
        finish(w, states, run, at.out, out_step);
        begin += run;
      }
    });
    return;
  }
  const int64_t chunks = (w.n + kChunk - 1) / kChunk, size = w.ops.state_size;
  auto states = std::make_unique_for_overwrite<char[]>(size_t(w.outputs * chunks * size));
  parallel_for(w.outputs * chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      const int64_t output = i / chunks, first = i % chunks * kChunk;
      char* state = states.get() + i * size;
      w.ops.init(state, 1);
      reduce_row(w, call.in + place(w.kept, output).in * w.in_size, first, std::min(first + kChunk, w.n), state);
    }
  });
  for (int64_t output = 0; output < w.outputs; output++) {
    char* own = states.get() + output * chunks * size;
    for (int64_t step = 1; step < chunks; step *= 2)
      for (int64_t i = 0; i + step < chunks; i += 2 * step) w.ops.merge(own + i * size, own + (i + step) * size, 1);
    finish(w, own, 1, place(w.kept, output).out, 1);
  }
}

// Reduces rows [begin, end) of `width` columns into their states.
void reduce_tile(const Work& w, const char* origin, int64_t width, int64_t begin, int64_t end, char* states) {
  const int64_t column_stride = w.kept.back().in, row_stride = w.over.empty() ? 0 : w.over.back().in;
  const double* params = w.call->params;
  if (w.direct && column_stride == 1) {
    each_run(w.over, begin, end, [&](int64_t offset, int64_t index, int64_t run) {
      const char* p = origin + offset * w.in_size;
      for (int64_t r = 0; r < run; r += w.ops.group)
        w.ops.tile(p + r * row_stride * w.in_size, std::min<int64_t>(run - r, w.ops.group), row_stride, width,
                   index + r, states, params);
    });
    return;
  }
  alignas(64) char buffer[kStagedRows * kStagedWidth * 16];
  const int64_t row_bytes = kStagedWidth * item_size(w.compute);
  int64_t filled = 0;
  auto flush = [&](int64_t next) {
    if (filled > 0) w.ops.tile(buffer, filled, kStagedWidth, width, next - filled, states, params);
    filled = 0;
  };
  each_run(w.over, begin, end, [&](int64_t offset, int64_t index, int64_t run) {
    for (int64_t r = 0; r < run; r++) {
      stage(w, origin + (offset + r * row_stride) * w.in_size, column_stride, width, buffer + filled * row_bytes);
      if (++filled == kStagedRows) flush(index + r + 1);
    }
  });
  flush(end);
}

void reduce_columns(const Work& w) {
  const ReduceCall& call = *w.call;
  const Loop columns = w.kept.back();
  const int64_t widest = w.direct && columns.in == 1 ? kTileWidth : kStagedWidth;
  const int64_t across = (columns.size + widest - 1) / widest, tiles = w.outputs / columns.size * across;
  const int64_t width = std::min(widest, columns.size), size = w.ops.state_size;
  const int64_t wanted = std::max<int64_t>(1, w.n * width / kPieceElements);
  const int64_t splits = std::clamp<int64_t>(std::min(wanted, kSplitTiles / tiles), 1, kSplitTiles);
  const int64_t rows = (w.n + splits - 1) / splits;

  // the tile's columns: where they start, how many, and which input and output offsets that is
  auto tile_at = [&](int64_t tile, int64_t& count) {
    const int64_t outer = tile / across, first = tile % across * widest;
    count = std::min(widest, columns.size - first);
    return place(w.kept, outer * columns.size + first);
  };
  if (splits == 1) {
    const int64_t grain = std::max<int64_t>(1, kPieceElements / std::max<int64_t>(1, width * w.n));
    parallel_for(tiles, grain, [&](int64_t begin, int64_t end) {
      alignas(64) char states[kTileWidth * kStateBytes];
      for (int64_t tile = begin; tile < end; tile++) {
        int64_t count;
        const Place at = tile_at(tile, count);
        w.ops.init(states, count);
        reduce_tile(w, call.in + at.in * w.in_size, count, 0, w.n, states);
        finish(w, states, count, at.out, columns.out);
      }
    });
    return;
  }
  auto states = std::make_unique_for_overwrite<char[]>(size_t(tiles * splits * width * size));
  parallel_for(tiles * splits, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      int64_t count;
      const Place at = tile_at(i / splits, count);
      char* own = states.get() + i * width * size;
      w.ops.init(own, count);
      const int64_t first = i % splits * rows;
      reduce_tile(w, call.in + at.in * w.in_size, count, std::min(first, w.n), std::min(first + rows, w.n), own);
    }
  });
  for (int64_t tile = 0; tile < tiles; tile++) {
    int64_t count;
    const Place at = tile_at(tile, count);
    char* own = states.get() + tile * splits * width * size;
    for (int64_t step = 1; step < splits; step *= 2)
      for (int64_t i = 0; i + step < splits; i += 2 * step)
        w.ops.merge(own + i * width * size, own + (i + step) * width * size, count);
    finish(w, own, count, at.out, columns.out);
  }
}

// A contiguous matrix of few columns: several rows side by side make one wide row.
bool is_narrow(const Work& w) {
  return w.direct && !w.indexed && w.kept.size() == 1 && w.over.size() == 1 && w.kept.back().in == 1 &&
         w.kept.back().size <= kNarrow && w.over.back().in == w.kept.back().size &&
         w.n * w.kept.back().size >= 8 * kJoined;
}

void reduce_narrow(const Work& w) {
  const int64_t columns = w.kept.back().size, joined = kJoined / columns, width = joined * columns, rows = w.n / joined;
  const int64_t splits = std::clamp<int64_t>(rows * width / kPieceElements, 1, kSplitTiles);
  const int64_t per_split = (rows + splits - 1) / splits, size = w.ops.state_size;
  auto states = std::make_unique_for_overwrite<char[]>(size_t(splits * width * size));
  auto absorb = [&](int64_t first, int64_t count, int64_t stride, int64_t across, char* own) {
    for (int64_t r = 0; r < count; r += w.ops.group)
      w.ops.tile(w.call->in + (first + r * stride) * w.in_size, std::min<int64_t>(count - r, w.ops.group), stride,
                 across, 0, own, w.call->params);
  };
  parallel_for(splits, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      char* own = states.get() + i * width * size;
      w.ops.init(own, width);
      const int64_t first = std::min(i * per_split, rows);
      absorb(first * width, std::min(per_split, rows - first), width, width, own);
    }
  });
  const int64_t groups = splits * joined;
  for (int64_t step = 1; step < groups; step *= 2)
    for (int64_t i = 0; i + step < groups; i += 2 * step)
      w.ops.merge(states.get() + i * columns * size, states.get() + (i + step) * columns * size, columns);
  absorb(rows * width, w.n - rows * joined, columns, columns, states.get());
  finish(w, states.get(), columns, 0, w.kept.back().out);
}

void append(Loops& loops, Loop loop) {
  if (!loops.empty() && loops.back().in == loop.size * loop.in && loops.back().out == loop.size * loop.out) {
    loops.back().size *= loop.size;
    loops.back().in = loop.in;
    loops.back().out = loop.out;
  } else {
    loops.push_back(loop);
  }
}

// Largest strides outermost: memory is then read as it lies.
void sort_and_merge(Loops& loops) {
  std::stable_sort(loops.begin(), loops.end(),
                   [](const Loop& a, const Loop& b) { return std::abs(a.in) > std::abs(b.in); });
  Loops merged;
  for (const Loop& loop : loops) append(merged, loop);
  loops = merged;
}

bool by_columns(const Work& w) {
  if (w.kept.empty() || w.over.empty() || w.kept.back().size < kMinColumns) return false;
  const int64_t column = std::abs(w.kept.back().in), element = std::abs(w.over.back().in);
  // many short rows: a strided gather of columns costs less than starting and ending each row
  if (w.n <= (w.indexed ? 32 : 4) && w.kept.back().size >= kStagedWidth) return true;
  return element != 1 && column != 0 && column < element;
}

DType compute_for(const ReduceCall& call, Core op) {
  if (is_count(op)) return DType::Bool;
  if (is_norm(op) && is_complex(call.in_dtype)) return real_dtype(compute_for(call.in_dtype));
  // an elementwise cast comes first where dtype= may ask for one
  if (!is_order(op) && (is_complex(call.out_dtype) || !is_complex(call.in_dtype))) return compute_for(call.out_dtype);
  const bool small = item_size(call.in_dtype) < 4 || call.in_dtype == DType::Int32;
  if (is_order(op) && is_integral_or_bool(call.in_dtype) && small) return DType::Int32;
  return compute_for(call.in_dtype);
}

void reduce_cpu(const ReduceCall& call) {
  const Core op = resolve(call);
  const DType compute = compute_for(call, op);
  Work w(kernel_for(op, compute), call, compute);
  if (!w.ops.init)
    fail(ErrorKind::NotImplemented, "\"", op_name(call.op), "\" not implemented for '", dtype_title(call.in_dtype),
         "'");
  w.absolute = is_norm(op) && is_complex(call.in_dtype);
  w.flip = is_order(op) && call.in_dtype == DType::UInt64;
  w.direct = !w.flip && (call.in_dtype == w.compute || (is_count(op) && item_size(call.in_dtype) == 1));
  w.indexed = has_index(op);
  w.stage = TABULA_PICK(stage);
  w.in_size = item_size(call.in_dtype);
  w.outputs = w.n = 1;
  bool sorted = true;
  for (int d = 0; d < call.ndim; d++) {
    const int64_t size = call.sizes[d];
    (call.reduced[d] ? w.n : w.outputs) *= size;
    if (size == 1) continue;
    Loops& loops = call.reduced[d] ? w.over : w.kept;
    const Loop loop{size, call.in_strides[d], call.reduced[d] ? 0 : call.out_strides[d]};
    if (!loops.empty() && std::abs(loops.back().in) < std::abs(loop.in)) sorted = false;
    append(loops, loop);
  }
  if (w.outputs == 0) return;
  if (w.n == 0) {
    w.over.clear();
    return reduce_rows(w);
  }
  if (!sorted) {
    sort_and_merge(w.kept);
    if (!w.indexed) sort_and_merge(w.over);
  }
  if (is_narrow(w))
    reduce_narrow(w);
  else if (by_columns(w))
    reduce_columns(w);
  else
    reduce_rows(w);
}

}  // namespace

Kernel<void(const ReduceCall&)> reduce("reduce", reduce_cpu);

}  // namespace tabula::kernels
