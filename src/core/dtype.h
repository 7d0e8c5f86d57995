// The dtypes, listed once. A new dtype is one line in TABULA_DTYPES.
#pragma once

#include <complex>
#include <cstdint>
#include <type_traits>

#include "core/error.h"
#include "core/half.h"

namespace tabula {

using c64 = std::complex<float>;
using c128 = std::complex<double>;

// X(enumerator, C++ type, Python name, short name, class name in error messages). The order is that of PyTorch's
// ScalarType numbering, which pickled files and error texts rely on.
#define TABULA_DTYPES(X)                                        \
  X(UInt8, uint8_t, "uint8", "Byte")                            \
  X(Int8, int8_t, "int8", "Char")                               \
  X(Int16, int16_t, "int16", "Short")                           \
  X(Int32, int32_t, "int32", "Int")                             \
  X(Int64, int64_t, "int64", "Long")                            \
  X(Float16, ::tabula::Half, "float16", "Half")                 \
  X(Float32, float, "float32", "Float")                         \
  X(Float64, double, "float64", "Double")                       \
  X(Complex32, ::tabula::ComplexHalf, "complex32", "ComplexHalf")          \
  X(Complex64, ::tabula::c64, "complex64", "ComplexFloat")      \
  X(Complex128, ::tabula::c128, "complex128", "ComplexDouble")  \
  X(Bool, bool, "bool", "Bool")                                 \
  X(BFloat16, ::tabula::BFloat16, "bfloat16", "BFloat16")       \
  X(Float8E4M3, ::tabula::Float8E4M3, "float8_e4m3fn", "Float8_e4m3fn")    \
  X(Float8E5M2, ::tabula::Float8E5M2, "float8_e5m2", "Float8_e5m2")        \
  X(UInt16, uint16_t, "uint16", "UInt16")                       \
  X(UInt32, uint32_t, "uint32", "UInt32")                       \
  X(UInt64, uint64_t, "uint64", "UInt64")                       \
  X(Float8E5M2Fnuz, ::tabula::Float8E5M2Fnuz, "float8_e5m2fnuz", "Float8_e5m2fnuz") \
  X(Float8E4M3Fnuz, ::tabula::Float8E4M3Fnuz, "float8_e4m3fnuz", "Float8_e4m3fnuz") \
  X(Float8E8M0, ::tabula::Float8E8M0, "float8_e8m0fnu", "Float8_e8m0fnu")

enum class DType : uint8_t {
#define X(name, type, python, title) name,
  TABULA_DTYPES(X)
#undef X
      Count
};
inline constexpr int kDTypes = int(DType::Count);

namespace detail {
template <class T>
struct dtype_of_impl;
#define X(name, type, python, title)                                   \
  template <>                                                          \
  struct dtype_of_impl<type> {                                         \
    static constexpr DType value = DType::name;                        \
  };
TABULA_DTYPES(X)
#undef X
inline constexpr uint8_t kItemSize[kDTypes] = {
#define X(name, type, python, title) sizeof(type),
    TABULA_DTYPES(X)
#undef X
};
inline constexpr const char* kPythonName[kDTypes] = {
#define X(name, type, python, title) python,
    TABULA_DTYPES(X)
#undef X
};
inline constexpr const char* kTitle[kDTypes] = {
#define X(name, type, python, title) title,
    TABULA_DTYPES(X)
#undef X
};
}  // namespace detail

template <class T>
inline constexpr DType dtype_of = detail::dtype_of_impl<T>::value;

constexpr int64_t item_size(DType d) { return detail::kItemSize[int(d)]; }
constexpr const char* dtype_name(DType d) { return detail::kPythonName[int(d)]; }  // "float32"
constexpr const char* dtype_title(DType d) { return detail::kTitle[int(d)]; }      // "Float", in messages

constexpr bool is_complex(DType d) { return d == DType::Complex64 || d == DType::Complex128 || d == DType::Complex32; }
constexpr bool is_reduced_float(DType d) { return d == DType::Float16 || d == DType::BFloat16; }
constexpr bool is_float8(DType d) { return d == DType::Float8E4M3 || d == DType::Float8E5M2 || d >= DType::Float8E5M2Fnuz; }
constexpr bool is_floating(DType d) {
  return d == DType::Float32 || d == DType::Float64 || is_reduced_float(d) || is_float8(d);
}
constexpr bool is_integral(DType d) { return !is_floating(d) && !is_complex(d) && d != DType::Bool; }
constexpr bool is_integral_or_bool(DType d) { return !is_floating(d) && !is_complex(d); }
constexpr bool is_unsigned(DType d) {
  return d == DType::UInt8 || d == DType::UInt16 || d == DType::UInt32 || d == DType::UInt64;
}
constexpr bool is_signed(DType d) { return !is_unsigned(d) && d != DType::Bool && d != DType::Float8E8M0; }
constexpr bool is_differentiable(DType d) { return is_floating(d) || is_complex(d); }
// The real dtype of a complex one's parts, and the reverse.
constexpr DType real_dtype(DType d) {
  return d == DType::Complex64 ? DType::Float32 : d == DType::Complex128 ? DType::Float64 : d == DType::Complex32 ? DType::Float16 : d;
}
constexpr DType complex_dtype(DType d) {
  return d == DType::Float64 ? DType::Complex128 : d == DType::Float16 ? DType::Complex32 : is_complex(d) ? d : DType::Complex64;
}

// Calls f.template operator()<T>() for the dtype's C++ type; `visit` covers the arithmetic dtypes
// (bool, integers, half, bfloat16, float, double, complex64/128) and refuses the storage-only ones.
template <class F>
decltype(auto) visit(DType d, const char* what, F&& f) {
  switch (d) {
    case DType::UInt8: return f.template operator()<uint8_t>();
    case DType::Int8: return f.template operator()<int8_t>();
    case DType::Int16: return f.template operator()<int16_t>();
    case DType::Int32: return f.template operator()<int32_t>();
    case DType::Int64: return f.template operator()<int64_t>();
    case DType::UInt16: return f.template operator()<uint16_t>();
    case DType::UInt32: return f.template operator()<uint32_t>();
    case DType::UInt64: return f.template operator()<uint64_t>();
    case DType::Float16: return f.template operator()<Half>();
    case DType::BFloat16: return f.template operator()<BFloat16>();
    case DType::Float32: return f.template operator()<float>();
    case DType::Float64: return f.template operator()<double>();
    case DType::Complex64: return f.template operator()<c64>();
    case DType::Complex128: return f.template operator()<c128>();
    case DType::Bool: return f.template operator()<bool>();
    default: fail(ErrorKind::NotImplemented, "\"", what, "\" not implemented for '", dtype_title(d), "'");
  }
}

// float, double, Half, BFloat16 only.
template <class F>
decltype(auto) visit_floating(DType d, const char* what, F&& f) {
  switch (d) {
    case DType::Float16: return f.template operator()<Half>();
    case DType::BFloat16: return f.template operator()<BFloat16>();
    case DType::Float32: return f.template operator()<float>();
    case DType::Float64: return f.template operator()<double>();
    default: fail(ErrorKind::NotImplemented, "\"", what, "\" not implemented for '", dtype_title(d), "'");
  }
}

// The rest as well: what can be read and written one by one.
template <class F>
decltype(auto) visit_all(DType d, const char* what, F&& f) {
  switch (d) {
    case DType::Float8E4M3: return f.template operator()<Float8E4M3>();
    case DType::Float8E5M2: return f.template operator()<Float8E5M2>();
    case DType::Float8E4M3Fnuz: return f.template operator()<Float8E4M3Fnuz>();
    case DType::Float8E5M2Fnuz: return f.template operator()<Float8E5M2Fnuz>();
    case DType::Float8E8M0: return f.template operator()<Float8E8M0>();
    case DType::Complex32: return f.template operator()<ComplexHalf>();
    default: return visit(d, what, f);
  }
}

// Moves bytes without looking at them: one instance per item size instead of one per dtype.
struct alignas(8) Bytes16 {
  uint64_t low, high;
};
template <class F>
decltype(auto) visit_size(int64_t bytes, F&& f) {
  switch (bytes) {
    case 1: return f.template operator()<uint8_t>();
    case 2: return f.template operator()<uint16_t>();
    case 4: return f.template operator()<uint32_t>();
    case 8: return f.template operator()<uint64_t>();
    default: return f.template operator()<Bytes16>();
  }
}

// The type in which sums and transcendental functions of T are computed.
template <class T>
struct compute_type {
  using type = T;
};
template <>
struct compute_type<Half> {
  using type = float;
};
template <>
struct compute_type<BFloat16> {
  using type = float;
};
template <class T>
using compute_t = typename compute_type<T>::type;

template <class T>
inline constexpr bool is_complex_v = std::is_same_v<T, c64> || std::is_same_v<T, c128>;

// Value conversion between any two element types, with PyTorch's rules: complex to real drops the imaginary part,
// anything to bool tests for nonzero, float to an integer of up to 32 bits goes by way of int32.
template <class To, class From>
inline To convert(From value) {
  if constexpr (std::is_same_v<To, From>) {
    return value;
  } else if constexpr (std::is_same_v<From, ComplexHalf>) {
    return convert<To>(c64(value));
  } else if constexpr (std::is_same_v<To, ComplexHalf>) {
    return ComplexHalf(convert<c64>(value));
  } else if constexpr (is_complex_v<From>) {
    if constexpr (is_complex_v<To>)
      return To(value);
    else if constexpr (std::is_same_v<To, bool>)
      return value.real() != 0 || value.imag() != 0;
    else
      return convert<To>(value.real());
  } else if constexpr (is_complex_v<To>) {
    return To(convert<typename To::value_type>(value));
  } else if constexpr (std::is_class_v<From>) {
    return convert<To>(float(value));
  } else if constexpr (std::is_class_v<To>) {
    return To(float(value));
  } else if constexpr (std::is_same_v<To, bool>) {
    return value != From(0);
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    // out of range is undefined in C++; x86 gives the "indefinite" minimum, which PyTorch users see
    constexpr From two31 = From(2147483648.0), two63 = From(9223372036854775808.0);
    if constexpr (std::is_same_v<To, uint64_t>)
      return value < From(0) ? To(int64_t(value)) : value >= two63 ? To(value) : To(int64_t(value));
    else if constexpr (std::is_same_v<To, uint32_t>)
      return value >= two31 ? To(convert<int32_t>(value - two31)) ^ To(INT32_MIN) : To(convert<int32_t>(value));
    else if constexpr (sizeof(To) == 8)
      return value >= -two63 && value < two63 ? To(value) : INT64_MIN;
    else
      return To(value >= -two31 && value < two31 ? int32_t(value) : INT32_MIN);
  } else {
    return To(value);
  }
}

}  // namespace tabula
