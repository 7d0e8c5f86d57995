#include "ops/scalar_range.h"

#include <cmath>
#include <limits>

namespace tabula {
namespace {

// The names that error messages use.
const char* c_name(DType dtype) {
  switch (dtype) {
    case DType::UInt8: return "uint8_t";
    case DType::Int8: return "int8_t";
    case DType::Int16: return "int16_t";
    case DType::Int32: return "int";
    case DType::Int64: return "int64_t";
    case DType::UInt16: return "uint16_t";
    case DType::UInt32: return "uint32_t";
    case DType::UInt64: return "uint64_t";
    case DType::Float16: return "c10::Half";
    case DType::BFloat16: return "c10::BFloat16";
    case DType::Float32: return "float";
    case DType::Float64: return "double";
    case DType::Complex64: return "c10::complex<float>";
    default: return dtype_name(dtype);
  }
}

double largest(DType dtype) {
  switch (real_dtype(dtype)) {
    case DType::UInt8: return 255;
    case DType::Int8: return 127;
    case DType::Int16: return 32767;
    case DType::UInt16: return 65535;
    case DType::Int32: return 2147483647;
    case DType::UInt32: return 4294967295;
    case DType::Int64: return 0x1p63;
    case DType::UInt64: return 0x1p64;
    case DType::Float16: return 65504;
    case DType::BFloat16: return 0x1.FEp127;
    case DType::Float32: return std::numeric_limits<float>::max();
    default: return std::numeric_limits<double>::infinity();
  }
}

bool fits(double v, DType dtype, bool integral) {
  const double limit = largest(dtype);
  if (is_unsigned(dtype) && !integral && v < 0) return false;
  if (!is_integral(dtype)) return !std::isfinite(v) || std::abs(v) <= limit;
  return v <= limit && v >= (is_unsigned(dtype) ? -limit : -limit - 1);
}

}  // namespace

const char* c_type_name(DType dtype) {
  switch (dtype) {
    case DType::UInt8: return "unsigned char";
    case DType::Int8: return "signed char";
    case DType::Int16: return "short int";
    case DType::Int32: return "int";
    case DType::Int64: return "long int";
    case DType::UInt16: return "short unsigned int";
    case DType::UInt32: return "unsigned int";
    case DType::UInt64: return "long unsigned int";
    case DType::Float16: return "c10::Half";
    case DType::BFloat16: return "c10::BFloat16";
    case DType::Float32: return "float";
    case DType::Float64: return "double";
    case DType::Bool: return "bool";
    case DType::Complex32: return "c10::complex<c10::Half>";
    case DType::Complex64: return "c10::complex<float>";
    case DType::Complex128: return "c10::complex<double>";
    default: return dtype_title(dtype);
  }
}

void check_fits(const Scalar& value, DType dtype) {
  if (dtype == DType::Bool || is_float8(dtype)) return;
  const bool integral = value.is_integral();
  const bool ok = fits(value.real(), dtype, integral) && (is_complex(dtype) ? fits(value.imag(), dtype, integral) : value.imag() == 0);
  check(ok, "value cannot be converted to type ", c_name(dtype), " without overflow");
}

void check_fill(const Scalar& value, DType dtype) {
  if (is_reduced_float(dtype))
    check(value.imag() == 0, "value cannot be converted to type double without overflow");
  else
    check_fits(value, dtype);
}

}  // namespace tabula
