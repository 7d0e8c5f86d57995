#include "ops/exact_out.h"

namespace tabula {

// The C++ type's name, as PyTorch's messages have it.
static std::string type_text(DType d) {
  switch (d) {
    case DType::Float32: return "float";
    case DType::Float64: return "double";
    case DType::Int32: return "int";
    case DType::Int64: return "long int";
    case DType::Int16: return "short int";
    case DType::Int8: return "signed char";
    case DType::UInt8: return "unsigned char";
    case DType::Bool: return "bool";
    case DType::Complex64: return "c10::complex<float>";
    case DType::Complex128: return "c10::complex<double>";
    default: return concat("c10::", dtype_title(d));
  }
}

void check_exact_out(Out& out) {
  for (int i = 0; i < out.count; i++)
    check(out[i].dtype() == out.into[i].dtype(), "Expected out tensor to have dtype ", type_text(out[i].dtype()), ", but got ", type_text(out.into[i].dtype()), " instead");
}

}  // namespace tabula
