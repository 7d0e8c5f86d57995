// The pointwise engine: see pointwise.h and "Memory is read in blocks that fit the L1 cache" in the architecture.
#include "kernels/pointwise.h"

#include <cstring>

#include "core/parallel.h"
#include "kernels/cpu/block_move.h"
#include "kernels/cpu/block_table.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/strided_walk.h"

namespace tabula::kernels {

#define X(isa)                             \
  namespace isa {                          \
  void define_arith(BlockTable& table);      \
  void define_math(BlockTable& table);       \
  void define_activation(BlockTable& table); \
  void define_integers(BlockTable& table);   \
  void define_special(BlockTable& table);    \
  void define_complex(BlockTable& table);    \
  }
X(baseline)
X(avx2)
X(avx512)
#undef X

namespace {

constexpr int kMaxOperands = 6;
constexpr int64_t kBlockElements = 1024;  // a few staged operands of them fit the L1 cache
constexpr int64_t kTileElements = 4096;   // in a block that reads an operand across its memory order
constexpr int64_t kBlockBytes = 16384;    // room for either, in the widest type
constexpr int64_t kGrain = 32768;        // elements in a piece of parallel work

const BlockTable& block_table = *[] {
  auto* table = new BlockTable();
  choose_isa(
      [&] {
        baseline::define_arith(*table);
        baseline::define_math(*table);
        baseline::define_activation(*table);
        baseline::define_integers(*table);
      },
      [&] {
        avx2::define_arith(*table);
        avx2::define_math(*table);
        avx2::define_activation(*table);
        avx2::define_integers(*table);
      },
      [&] {
        avx512::define_arith(*table);
        avx512::define_math(*table);
        avx512::define_activation(*table);
        avx512::define_integers(*table);
      });
  baseline::define_special(*table);
  baseline::define_complex(*table);
  return table;
}();

bool is_contiguous(int ndim, const int64_t* sizes, const int64_t* strides) {
  int64_t expected = 1;
  for (int d = ndim - 1; d >= 0; d--) {
    if (sizes[d] != 1 && strides[d] != expected) return false;
    expected *= sizes[d];
  }
  return true;
}

bool is_constant(int ndim, const int64_t* strides) {
  return std::all_of(strides, strides + ndim, [](int64_t stride) { return stride == 0; });
}

// A call with its kernel, and the dtypes that this one reads and writes.
struct Run {
  const PointwiseCall& call;
  BlockKernel kernel;
  bool takes_repeated;
  DType result;
  DType input[4];

  explicit Run(const PointwiseCall& call)
      : call(call),
        kernel(block_table.at[int(call.op)][int(call.compute)]),
        takes_repeated(block_table.takes_repeated[int(call.op)][int(call.compute)]),
        result(call.result) {
    for (int k = 0; k < call.nin; k++) input[k] = pointwise_input(call.op, call.compute, k);
    if (call.compute != DType::Float32 || call.out[0].dtype != DType::BFloat16 || !block_table.bfloat16[int(call.op)]) return;
    for (int k = 0; k < call.nin; k++)
      if (call.in[k].dtype != DType::BFloat16) return;
    kernel = block_table.bfloat16[int(call.op)];
    result = DType::BFloat16;
    std::fill_n(input, call.nin, DType::BFloat16);
  }

  void operator()(int64_t n, char* const* out, const char* const* in, uint32_t repeated) const {
    kernel(n, out, in, call.params, call.iparams, repeated);
  }
};

// An input's one value in every lane that a kernel loads.
void repeat(char* block, DType to, const Operand& from, const char* data, int64_t n) {
  char value[16];
  cast_block(to, value, from.dtype, data, 1);
  fill_block(block, value, n, item_size(to));
}

// Everything contiguous, or one value that the kernel repeats, and of its own types: nothing has to be staged.
// `repeated` gets the bits of such values.
bool needs_no_staging(const Run& run, uint32_t& repeated) {
  const PointwiseCall& call = run.call;
  for (int k = 0; k < call.nout; k++)
    if (call.out[k].dtype != run.result || !is_contiguous(call.ndim, call.sizes, call.out[k].strides)) return false;
  for (int k = 0; k < call.nin; k++) {
    if (call.in[k].dtype == run.input[k] && is_contiguous(call.ndim, call.sizes, call.in[k].strides)) continue;
    if (!run.takes_repeated || !is_constant(call.ndim, call.in[k].strides)) return false;
    repeated |= 1u << k;
  }
  return true;
}

bool bypasses_cache(const Run& run, int64_t n) {
  const PointwiseCall& call = run.call;
  if (call.nout != 1 || !kernels::bypasses_cache(call.out[0].data, n * item_size(run.result))) return false;
  // in place, the lines are there already
  for (int k = 0; k < call.nin; k++)
    if (call.in[k].data == call.out[0].data) return false;
  return true;
}

// Values that the kernel repeats, one line each.
struct Lines {
  alignas(64) char at[4][kRepeatedBytes];
  Lines(const Run& run, uint32_t repeated) {
    for (int k = 0; k < run.call.nin; k++)
      if (repeated >> k & 1)
        repeat(at[k], run.input[k], run.call.in[k], run.call.in[k].data, kRepeatedBytes / item_size(run.input[k]));
  }
};

void run_contiguous(const Run& run, int64_t n, uint32_t repeated) {
  const PointwiseCall& call = run.call;
  const int64_t out_size = item_size(run.result);
  const Lines lines(run, repeated);
  const bool stream = bypasses_cache(run, n);
  parallel_for(n, kGrain, [&](int64_t begin, int64_t end) {
    char* out[2];
    const char* in[4];
    int64_t step[4];
    for (int k = 0; k < call.nin; k++) {
      step[k] = repeated >> k & 1 ? 0 : item_size(run.input[k]);
      in[k] = step[k] ? call.in[k].data + begin * step[k] : lines.at[k];
    }
    for (int k = 0; k < call.nout; k++) out[k] = call.out[k].data + begin * out_size;
    if (!stream) {
      run(end - begin, out, in, repeated);
      return;
    }
    alignas(64) char buffer[kBlockBytes];
    for (int64_t at = begin; at < end; at += kBlockElements) {
      const int64_t m = std::min(kBlockElements, end - at);
      char* const block = buffer;
      run(m, &block, in, repeated);
      stream_block(out[0], buffer, m * out_size);
      out[0] += m * out_size;
      for (int k = 0; k < call.nin; k++) in[k] += m * step[k];
    }
    stream_fence();
  });
}

void run_strided(const Run& run, int64_t n) {
  const PointwiseCall& call = run.call;
  const int count = call.nout + call.nin;
  const int64_t* strides[kMaxOperands] = {};
  Operand operand[kMaxOperands];
  DType wanted[kMaxOperands];
  int64_t widest = 1;
  for (int k = 0; k < count; k++) {
    operand[k] = k < call.nout ? call.out[k] : call.in[k - call.nout];
    wanted[k] = k < call.nout ? run.result : run.input[k - call.nout];
    strides[k] = operand[k].strides;
    widest = std::max({widest, item_size(operand[k].dtype), item_size(wanted[k])});
  }
  const StridedWalk<kMaxOperands> walk(call.ndim, call.sizes, count, strides,
                                       std::min(kBlockElements, kBlockBytes / widest),
                                       std::min(kTileElements, kBlockBytes / widest));
  enum class Access : uint8_t { Direct, Contiguous, Rows, Strided, Constant, RowConstant };
  Access access[kMaxOperands] = {};
  uint32_t repeated = 0;
  for (int k = 0; k < count; k++) {
    const bool repeats = k >= call.nout && run.takes_repeated && walk.is_row_constant(k);
    if (repeats) repeated |= 1u << (k - call.nout);
    if (k >= call.nout && walk.is_constant(k))
      access[k] = Access::Constant;
    else if (repeats)
      access[k] = Access::RowConstant;
    else if (walk.is_direct(k))
      access[k] = operand[k].dtype == wanted[k] ? Access::Direct : Access::Contiguous;
    else
      access[k] = operand[k].dtype == wanted[k] && walk.has_long_rows(k) ? Access::Rows : Access::Strided;
  }
  // where an operand's rows are used as they lie, the kernel is called for each
  const bool by_rows = std::find(access, access + count, Access::Rows) != access + count;

  const bool stream = access[0] == Access::Direct && bypasses_cache(run, n);

  const int64_t grain = std::max<int64_t>(1, kGrain / walk.block_elements());
  parallel_for(walk.blocks(), grain, [&](int64_t begin, int64_t end) {
    alignas(64) char staged[kMaxOperands][kBlockBytes];
    alignas(64) char raw[kBlockBytes];
    char* place[kMaxOperands];
    for (int k = 0; k < count; k++) {
      place[k] = staged[k];
      if (access[k] != Access::Constant) continue;
      const bool one_line = repeated >> (k - call.nout) & 1;
      repeat(staged[k], wanted[k], operand[k], operand[k].data,
             one_line ? kRepeatedBytes / item_size(wanted[k]) : walk.block_elements());
    }
    StridedWalk<kMaxOperands>::Cursor cursor;
    walk.seek(cursor, begin);
    for (int64_t block = begin;;) {
      const int64_t n = cursor.rows * cursor.cols;
      for (int k = 0; k < count; k++) {
        char* const data = operand[k].data + cursor.offset[k] * item_size(operand[k].dtype);
        const bool input = k >= call.nout;
        if (access[k] == Access::Direct || access[k] == Access::Rows) {
          if (input || !stream) place[k] = data;
        } else if (access[k] == Access::RowConstant) {
          repeat(staged[k], wanted[k], operand[k], data, kRepeatedBytes / item_size(wanted[k]));
        } else if (input && access[k] == Access::Contiguous) {
          cast_block(wanted[k], staged[k], operand[k].dtype, data, n);
        } else if (input && access[k] == Access::Strided) {
          const bool same_type = operand[k].dtype == wanted[k];
          gather_block(same_type ? staged[k] : raw, data, walk.rectangle(cursor, k), item_size(operand[k].dtype));
          if (!same_type) cast_block(wanted[k], staged[k], operand[k].dtype, raw, n);
        }
      }
      for (int64_t row = 0; row < (by_rows ? cursor.rows : 1); row++) {
        char* at[kMaxOperands];
        for (int k = 0; k < count; k++) {
          const bool stays = k >= call.nout && (repeated >> (k - call.nout) & 1);
          const int64_t step = stays ? 0 : access[k] == Access::Rows ? walk.row_stride(k) : cursor.cols;
          at[k] = place[k] + row * step * item_size(wanted[k]);
        }
        run(by_rows ? cursor.cols : n, at, const_cast<const char* const*>(at + call.nout), repeated);
      }
      for (int k = 0; k < call.nout; k++) {
        char* const data = operand[k].data + cursor.offset[k] * item_size(operand[k].dtype);
        if (stream) stream_block(data, staged[k], n * item_size(wanted[k]));
        if (access[k] == Access::Direct || access[k] == Access::Rows) continue;
        if (access[k] == Access::Contiguous) {
          cast_block(operand[k].dtype, data, wanted[k], staged[k], n);
          continue;
        }
        const bool same_type = operand[k].dtype == wanted[k];
        if (!same_type) cast_block(operand[k].dtype, raw, wanted[k], staged[k], n);
        scatter_block(data, same_type ? staged[k] : raw, walk.rectangle(cursor, k), item_size(operand[k].dtype));
      }
      if (++block == end) break;
      walk.next(cursor);
    }
    if (stream) stream_fence();
  });
}

}  // namespace

bool pointwise_supports(Pointwise op, DType compute) { return block_table.at[int(op)][int(compute)] != nullptr; }

void pointwise_cpu(const PointwiseCall& call) {
  const Run run(call);
  check_implemented(run.kernel != nullptr, "\"", kPointwise[int(call.op)].name, "_cpu\" not implemented for '",
                    dtype_title(call.compute), "'");
  int64_t n = 1;
  for (int d = 0; d < call.ndim; d++) n *= call.sizes[d];
  if (n == 0) return;
  uint32_t repeated = 0;
  if (!needs_no_staging(run, repeated)) return run_strided(run, n);
  if (repeated || n > kGrain) return run_contiguous(run, n, repeated);
  char* out[2];
  const char* in[4];
  for (int k = 0; k < call.nout; k++) out[k] = call.out[k].data;
  for (int k = 0; k < call.nin; k++) in[k] = call.in[k].data;
  run(n, out, in, 0);
}

Kernel<void(const PointwiseCall&)> pointwise("pointwise", pointwise_cpu);

}  // namespace tabula::kernels
