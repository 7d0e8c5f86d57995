#include "ops/exact_out.h"

#include "ops/scalar_range.h"

namespace tabula {

void check_exact_out(Out& out) {
  for (int i = 0; i < out.count; i++)
    check(out[i].dtype() == out.into[i].dtype(), "Expected out tensor to have dtype ", c_type_name(out[i].dtype()), ", but got ", c_type_name(out.into[i].dtype()), " instead");
}

void refuse_scan_out(DType result, DType given) { fail(ErrorKind::Runtime, "expected scalar_type ", dtype_title(result), " but found ", dtype_title(given)); }

}  // namespace tabula
