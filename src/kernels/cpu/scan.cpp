// Each line is scanned in order, lines side by side where they are interleaved (inner > 1). Sums and products of float
// accumulate in double.
#include "kernels/scan.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/parallel.h"
#include "kernels/cpu/reduce_ops.h"
#include "kernels/cpu/scan_isa.h"

namespace tabula::kernels {
namespace {

constexpr int64_t kBlock = 512;
constexpr int64_t kPiece = 16384;

template <class T>
struct accumulate_type {
  using type = T;
};
template <>
struct accumulate_type<float> {
  using type = double;
};
template <>
struct accumulate_type<c64> {
  using type = c128;
};
template <>
struct accumulate_type<int64_t> {
  using type = uint64_t;  // wraps
};
template <class T>
using accumulate_t = typename accumulate_type<T>::type;

// A line starts at zero, which turns a leading -0 into 0.
struct CumSum {
  template <class A>
  static A first(A x) {
    return A{} + x;
  }
  template <class A>
  static A step(A total, A x) {
    return total + x;
  }
};
struct CumProd {
  template <class A>
  static A first(A x) {
    return x;
  }
  template <class A>
  static A step(A total, A x) {
    if constexpr (is_complex_v<A>)
      return A(total.real() * x.real() - total.imag() * x.imag(), total.real() * x.imag() + total.imag() * x.real());
    else
      return total * x;
  }
};
struct LogCumSumExp {
  template <class A>
  static A first(A x) {
    return A{} + x;
  }
  template <class A>
  static A step(A total, A x) {
    if constexpr (is_complex_v<A>) {
      using R = typename A::value_type;
      if (total != total || x != x) return A(std::numeric_limits<R>::quiet_NaN(), std::numeric_limits<R>::quiet_NaN());
      const bool ordered = total.real() <= x.real();
      const A low = ordered ? total : x, high = ordered ? x : total;
      // no angle can be told between equal infinities
      if (low.real() == high.real() && !std::isfinite(low.real())) return low.real() < 0 ? low : std::log(std::exp(low) + std::exp(high));
      const A ratio = std::exp(low - high);
      const R a = ratio.real(), b = ratio.imag();
      return high + A(std::log1p(a * (2 + a) + b * b) / 2, std::atan2(b, 1 + a));
    } else {
      return real_step(total, x);
    }
  }
  template <class A>
  static A real_step(A total, A x) {
    if (total != total || x != x) return total + x;
    const A low = std::min(total, x), high = std::max(total, x);
    // equal infinities: their difference would be NaN
    return low == high && !std::isfinite(low) ? high : high + std::log1p(std::exp(low - high));
  }
};

// Reads elements as values of the compute type C, writes values of C as the output's dtype.
template <class C>
struct Access {
  explicit Access(const ScanCall& call) : call(call), stage(TABULA_PICK(stage)) {}
  const ScanCall& call;
  decltype(&isa_base::stage) stage;

  // uint64 is ordered as int64 with the top bit flipped
  bool flips() const { return call.op >= Scan::cummax && call.in_dtype == DType::UInt64; }
  void flip(C* values, int64_t n) const {
    if constexpr (std::is_same_v<C, int64_t>)
      for (int64_t i = 0; i < n; i++) values[i] ^= INT64_MIN;
  }
  const C* read(int64_t first, int64_t n, C* buffer) const {
    const char* p = call.in + first * item_size(call.in_dtype);
    if (call.in_dtype == dtype_of<C>) return reinterpret_cast<const C*>(p);
    stage(call.in_dtype, p, 1, n, dtype_of<C>, false, buffer);
    if (flips()) flip(buffer, n);
    return buffer;
  }
  void write(int64_t first, int64_t n, C* values) const {
    if (flips()) flip(values, n);
    if (call.out_dtype == dtype_of<C>) {
      std::copy_n(values, n, reinterpret_cast<C*>(call.out) + first);
      return;
    }
    visit(call.out_dtype, "cumsum", [&]<class S>() {
      for (int64_t i = 0; i < n; i++) reinterpret_cast<S*>(call.out)[first + i] = convert<S>(values[i]);
    });
  }
};

// Calls f(first element, lines) for groups of adjacent lines.
template <class F>
void each_group(const ScanCall& call, F f) {
  const int64_t across = (call.inner + kBlock - 1) / kBlock;
  const int64_t grain = std::max<int64_t>(1, kPiece / (call.dim * std::min(call.inner, kBlock)));
  parallel_for(call.outer * across, grain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; t++) {
      const int64_t first = t % across * kBlock;
      f(t / across * call.dim * call.inner + first, std::min(kBlock, call.inner - first));
    }
  });
}

void cumsum_lines(const ScanCall& call) {
  const auto* in = reinterpret_cast<const float*>(call.in);
  auto* out = reinterpret_cast<float*>(call.out);
  const auto line = TABULA_PICK(cumsum_line);
  parallel_for(call.outer, std::max<int64_t>(1, kPiece / call.dim), [&](int64_t begin, int64_t end) {
    for (; begin < end; begin++) line(in + begin * call.dim, out + begin * call.dim, call.dim);
  });
}

// Each addition of a line waits for the one before; several lines side by side keep the adder busy.
template <class C, class Op>
void accumulate_rows(const ScanCall& call) {
  using A = accumulate_t<C>;
  constexpr int64_t kLines = 4;
  const auto* in = reinterpret_cast<const C*>(call.in);
  auto* out = reinterpret_cast<C*>(call.out);
  const int64_t n = call.dim, grain = std::max<int64_t>(1, kPiece / n / kLines) * kLines;
  parallel_for(call.outer, grain, [&](int64_t begin, int64_t end) {
    for (; begin < end; begin += kLines) {
      const int64_t lines = std::min(kLines, end - begin);
      A totals[kLines];
      for (int64_t j = 0; j < lines; j++) out[(begin + j) * n] = C(totals[j] = Op::first(A(in[(begin + j) * n])));
      for (int64_t i = 1; i < n; i++) {
        if (lines == kLines) {
          for (int64_t j = 0; j < kLines; j++) {
            const int64_t at = (begin + j) * n + i;
            out[at] = C(totals[j] = Op::step(totals[j], A(in[at])));
          }
        } else {
          for (int64_t j = 0; j < lines; j++) {
            const int64_t at = (begin + j) * n + i;
            out[at] = C(totals[j] = Op::step(totals[j], A(in[at])));
          }
        }
      }
    }
  });
}

template <class C, class Op>
void accumulate(const ScanCall& call) {
  using A = accumulate_t<C>;
  if (call.inner == 1 && call.in_dtype == dtype_of<C> && call.out_dtype == dtype_of<C>) {
    if constexpr (std::is_same_v<C, float> && std::is_same_v<Op, CumSum>)
      return cumsum_lines(call);
    else
      return accumulate_rows<C, Op>(call);
  }
  const Access<C> access(call);
  each_group(call, [&](int64_t first, int64_t lines) {
    C buffer[kBlock], results[kBlock];
    if (call.inner == 1) {
      A total{};
      for (int64_t i = 0; i < call.dim; i += kBlock) {
        const int64_t m = std::min(kBlock, call.dim - i);
        const C* x = access.read(first + i, m, buffer);
        for (int64_t k = 0; k < m; k++) {
          total = i + k == 0 ? Op::first(A(x[k])) : Op::step(total, A(x[k]));
          results[k] = C(total);
        }
        access.write(first + i, m, results);
      }
      return;
    }
    A totals[kBlock];
    for (int64_t d = 0; d < call.dim; d++) {
      const int64_t at = first + d * call.inner;
      const C* x = access.read(at, lines, buffer);
      for (int64_t j = 0; j < lines; j++) {
        totals[j] = d == 0 ? Op::first(A(x[j])) : Op::step(totals[j], A(x[j]));
        results[j] = C(totals[j]);
      }
      access.write(at, lines, results);
    }
  });
}

template <class C, bool greatest>
void extremes(const ScanCall& call) {
  const Access<C> access(call);
  auto replaces = [](C x, C best) { return x != x || (best == best && (greatest ? x >= best : x <= best)); };
  each_group(call, [&](int64_t first, int64_t lines) {
    C buffer[kBlock], results[kBlock];
    if (call.inner == 1) {
      C best{};
      int64_t where = 0;
      for (int64_t i = 0; i < call.dim; i += kBlock) {
        const int64_t m = std::min(kBlock, call.dim - i);
        const C* x = access.read(first + i, m, buffer);
        for (int64_t k = 0; k < m; k++) {
          if (i + k == 0 || replaces(x[k], best)) {
            best = x[k];
            where = i + k;
          }
          results[k] = best;
          call.indices[first + i + k] = where;
        }
        access.write(first + i, m, results);
      }
      return;
    }
    C best[kBlock];
    int64_t where[kBlock];
    for (int64_t d = 0; d < call.dim; d++) {
      const int64_t at = first + d * call.inner;
      const C* x = access.read(at, lines, buffer);
      for (int64_t j = 0; j < lines; j++) {
        if (d == 0 || replaces(x[j], best[j])) {
          best[j] = x[j];
          where[j] = d;
        }
        call.indices[at + j] = where[j];
        results[j] = best[j];
      }
      access.write(at, lines, results);
    }
  });
}

template <class C>
void run(const ScanCall& call) {
  if (call.op == Scan::cumsum) return accumulate<C, CumSum>(call);
  if (call.op == Scan::cumprod) return accumulate<C, CumProd>(call);
  if constexpr (!is_complex_v<C>) {
    if (call.op == Scan::cummax) return extremes<C, true>(call);
    if (call.op == Scan::cummin) return extremes<C, false>(call);
  }
  if constexpr (std::is_floating_point_v<C> || is_complex_v<C>) {
    if (call.op == Scan::logcumsumexp) return accumulate<C, LogCumSumExp>(call);
  }
  constexpr const char* names[] = {"cumsum", "cumprod", "logcumsumexp", "cummax", "cummin"};
  fail(ErrorKind::NotImplemented, "\"", names[int(call.op)], "\" not implemented for '",
       dtype_title(call.out_dtype), "'");
}

void scan_cpu(const ScanCall& call) {
  if (call.outer * call.dim * call.inner == 0) return;
  switch (call.out_dtype) {
    case DType::Float64: return run<double>(call);
    case DType::Complex64: return run<c64>(call);
    case DType::Complex128: return run<c128>(call);
    default: return is_floating(call.out_dtype) ? run<float>(call) : run<int64_t>(call);
  }
}

}  // namespace

Kernel<void(const ScanCall&)> scan("scan", scan_cpu);

}  // namespace tabula::kernels
