#include "kernels/copy.h"

#include <cstring>

#include "core/parallel.h"
#include "kernels/cpu/block_move.h"
#include "kernels/cpu/strided_walk.h"

namespace tabula::kernels {
namespace {

constexpr int64_t kBlockBytes = 16384;
constexpr int64_t kPieceBytes = 1 << 18;

// Flips signs in a contiguous block of the source's dtype: conjugation of complex numbers, negation of anything signed.
template <class T>
void negate(T* x, int64_t n) {
  for (int64_t i = 0; i < n; i++) x[i] = T(-x[i]);
}
template <class R>
void resolve_parts(R* parts, int64_t n, bool conj, bool neg) {
  const R real = neg ? R(-1) : R(1), imag = conj != neg ? R(-1) : R(1);
  for (int64_t i = 0; i < n; i++) {
    parts[2 * i] = parts[2 * i] * real;
    parts[2 * i + 1] = parts[2 * i + 1] * imag;
  }
}
void resolve(DType dtype, void* block, int64_t n, bool conj, bool neg) {
  switch (dtype) {
    case DType::Complex64: return resolve_parts(static_cast<float*>(block), n, conj, neg);
    case DType::Complex128: return resolve_parts(static_cast<double*>(block), n, conj, neg);
    case DType::Complex32: {
      uint16_t* const bits = static_cast<uint16_t*>(block);
      for (int64_t i = 0; i < n; i++) {
        if (neg) bits[2 * i] ^= 0x8000;
        if (conj != neg) bits[2 * i + 1] ^= 0x8000;
      }
      return;
    }
    case DType::Float32: return neg ? negate(static_cast<float*>(block), n) : void();
    case DType::Float64: return neg ? negate(static_cast<double*>(block), n) : void();
    case DType::Int8: return neg ? negate(static_cast<uint8_t*>(block), n) : void();
    case DType::Int16: return neg ? negate(static_cast<uint16_t*>(block), n) : void();
    case DType::Int32: return neg ? negate(static_cast<uint32_t*>(block), n) : void();
    case DType::Int64: return neg ? negate(static_cast<uint64_t*>(block), n) : void();
    case DType::Float16:
    case DType::BFloat16: {
      if (neg)
        for (int64_t i = 0; i < n; i++) static_cast<uint16_t*>(block)[i] ^= 0x8000;
      return;
    }
    default:
      check_implemented(!neg, "a lazily negated tensor of dtype ", dtype_name(dtype), " cannot be resolved");
  }
}

bool same_layout(const CopyCall& call) {
  int64_t expected = 1;
  for (int d = call.ndim - 1; d >= 0; d--) {
    if (call.sizes[d] != 1 && (call.dst.strides[d] != expected || call.src.strides[d] != expected)) return false;
    expected *= call.sizes[d];
  }
  return true;
}

int64_t elements(int ndim, const int64_t* sizes) {
  int64_t n = 1;
  for (int d = 0; d < ndim; d++) n *= sizes[d];
  return n;
}

}  // namespace

void copy_cpu(const CopyCall& call) {
  const DType to = call.dst.dtype, from = call.src.dtype;
  const int64_t to_size = item_size(to), from_size = item_size(from);
  const bool conj = call.conj && is_complex(from), flip = conj || call.neg;
  const int64_t n = elements(call.ndim, call.sizes);
  if (n == 0) return;

  const bool stream = bypasses_cache(call.dst.data, n * to_size);
  if (!flip && same_layout(call)) {
    parallel_for(n, kPieceBytes / std::max(to_size, from_size), [&](int64_t begin, int64_t end) {
      if (stream && to == from) {
        stream_block(call.dst.data + begin * to_size, call.src.data + begin * from_size, (end - begin) * to_size);
        stream_fence();
        return;
      }
      cast_block(to, call.dst.data + begin * to_size, from, call.src.data + begin * from_size, end - begin);
    });
    return;
  }

  const int64_t* const strides[] = {call.dst.strides, call.src.strides};
  const int64_t block_size = kBlockBytes / std::max(to_size, from_size);
  const StridedWalk<2> walk(call.ndim, call.sizes, 2, strides, block_size, block_size);
  const bool dst_direct = walk.is_direct(0), src_direct = walk.is_direct(1), cast = to != from;
  const int64_t block_bytes = walk.block_elements() * std::max(to_size, from_size);
  parallel_for(walk.blocks(), std::max<int64_t>(1, kPieceBytes / block_bytes), [&](int64_t begin, int64_t end) {
    alignas(64) char source[kBlockBytes], result[kBlockBytes];
    StridedWalk<2>::Cursor cursor;
    walk.seek(cursor, begin);
    for (int64_t block = begin;;) {
      const int64_t m = cursor.rows * cursor.cols;
      char* const dst = call.dst.data + cursor.offset[0] * to_size;
      char* const src = call.src.data + cursor.offset[1] * from_size;
      const char* have = src;
      if (!src_direct) {
        const bool straight = dst_direct && !flip && !cast && !stream;
        gather_block(straight ? dst : source, src, walk.rectangle(cursor, 1), from_size);
        have = straight ? dst : source;
      } else if (flip) {
        std::memcpy(source, src, size_t(m * from_size));
        have = source;
      }
      if (flip) resolve(from, source, m, conj, call.neg);
      if (cast) {
        const bool straight = dst_direct && !stream;
        cast_block(to, straight ? dst : result, from, have, m);
        have = straight ? dst : result;
      }
      if (!dst_direct)
        scatter_block(dst, have, walk.rectangle(cursor, 0), to_size);
      else if (stream)
        stream_block(dst, have, m * to_size);
      else if (have != dst)
        std::memcpy(dst, have, size_t(m * to_size));
      if (++block == end) break;
      walk.next(cursor);
    }
    if (stream) stream_fence();
  });
}

void fill_cpu(const FillCall& call) {
  const int64_t size = item_size(call.dst.dtype), n = elements(call.ndim, call.sizes);
  if (n == 0) return;
  const int64_t* const strides[] = {call.dst.strides};
  const StridedWalk<1> walk(call.ndim, call.sizes, 1, strides, kBlockBytes / size, kBlockBytes / size);
  const bool direct = walk.is_direct(0), stream = direct && bypasses_cache(call.dst.data, n * size);
  parallel_for(walk.blocks(), kPieceBytes / kBlockBytes, [&](int64_t begin, int64_t end) {
    alignas(64) char block[kBlockBytes];
    if (!direct || stream) fill_block(block, call.value, walk.block_elements(), size);
    StridedWalk<1>::Cursor cursor;
    walk.seek(cursor, begin);
    for (int64_t at = begin;;) {
      char* const dst = call.dst.data + cursor.offset[0] * size;
      if (stream)
        stream_block(dst, block, cursor.rows * cursor.cols * size);
      else if (direct)
        fill_block(dst, call.value, cursor.rows * cursor.cols, size);
      else
        scatter_block(dst, block, walk.rectangle(cursor, 0), size);
      if (++at == end) break;
      walk.next(cursor);
    }
    if (stream) stream_fence();
  });
}

Kernel<void(const CopyCall&)> copy("copy", copy_cpu);
Kernel<void(const FillCall&)> fill("fill", fill_cpu);

}  // namespace tabula::kernels
