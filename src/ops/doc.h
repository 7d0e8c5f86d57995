// The documentation of a row, kept beside it. The examples are run by tests/test_docs.py.
#pragma once

#include "ops/opdef.h"

// A doctest at the end of a text: what is typed and what is printed. TABULA_STEP adds further ones.
#define TABULA_STEP(code, result) "\n    >>> " code "\n    " result
#define TABULA_EXAMPLE(code, result) "\n\nExample::\n" TABULA_STEP(code, result)

namespace tabula {

constexpr OpDef documented(OpDef row, const char* doc) {
  row.doc = doc;
  return row;
}

}  // namespace tabula
