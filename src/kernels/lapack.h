// Decompositions and solvers of dense matrices by LAPACK, over batches that lie one matrix directly after another.
//
// Every matrix is stored by columns without gaps: A(i, j) of an m x n matrix is at i + j * m. What a routine works on
// is overwritten. The dtypes are float32, float64, complex64 and complex128; S below is the real dtype beside each.
// The matrices of a batch are independent of each other, so results do not depend on the number of threads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/device.h"
#include "core/dtype.h"

namespace tabula::kernels {

struct LapackCall {
  DType dtype = DType::Float32;
  int64_t batch = 1;
  int64_t m = 0, n = 0, k = 0;
  char *a = nullptr, *b = nullptr, *c = nullptr, *d = nullptr;
  int32_t* pivots = nullptr;  // counted from 1, as LAPACK does
  int32_t* info = nullptr;    // one per matrix: 0, or what LAPACK reports
  bool upper = false;         // which triangle is given
  bool unit = false;          // its diagonal counts as ones
  bool left = true;           // the matrix stands on the left
  bool vectors = true;        // not only values
  bool full = false;          // square orthogonal factors
  bool hermitian = false;     // not merely symmetric
  char trans = 'N';           // or 'T', 'C'
};

using LapackKernel = Kernel<void(const LapackCall&)>;

// a [n, n] -> its Cholesky factor in the triangle `upper`, zeros in the other one.
extern LapackKernel cholesky;
// a [n, n]: a Cholesky factor -> the inverse of the matrix that it is a factor of, both triangles.
extern LapackKernel cholesky_inverse;
// b [n, k] -> the solution, for the Cholesky factor a [n, n].
extern LapackKernel cholesky_solve;
// a [m, n] -> L and U packed; pivots [min(m, n)].
extern LapackKernel lu_factor;
// b [n, k] -> the solution of op(A) X = B, for a [n, n] packed by lu_factor.
extern LapackKernel lu_solve;
// b [n, n] -> the inverse, for a [n, n] packed by lu_factor with these infos; of singular ones what solving gives.
extern LapackKernel lu_inverse;
// b [m, n] -> the solution of op(A) X = B, or of X op(A) = B, for a triangular a.
extern LapackKernel triangular_solve;
// a [m, n] -> R above, reflections below; b [min(m, n)]: their scales.
extern LapackKernel geqrf;
// a [m, n]: the first k columns hold reflections, b [k] their scales -> the first n columns of their product.
extern LapackKernel orgqr;
// c [m, n] -> op(Q) C or C op(Q), with k reflections in a [m or n, k] and b [k].
extern LapackKernel ormqr;
// a [n, n] -> eigenvectors (if `vectors`); b [n] of S: eigenvalues, ascending.
extern LapackKernel eigh;
// a [n, n], lost; b [n] complex: eigenvalues; c [n, n] complex: eigenvectors (if `vectors`).
extern LapackKernel eig;
// a [m, n], lost; b [min(m, n)] of S; c and d: U and V^H (if `vectors`), square if `full`.
extern LapackKernel svd;
// a [n, n] -> L D L^T packed in the lower triangle; pivots [n].
extern LapackKernel ldl_factor;
// b [n, k] -> the solution, for a [n, n] and pivots of ldl_factor.
extern LapackKernel ldl_solve;

enum class LstsqDriver : uint8_t { gels, gelsy, gelsd, gelss };
struct LstsqCall : LapackCall {
  LstsqDriver driver = LstsqDriver::gelsy;
  double rcond = 0;
  int64_t* rank = nullptr;  // one per matrix; not for gels
};
// a [m, n], lost; b [max(m, n), k] -> solutions in the first n rows, then residuals; c [min(m, n)] of S: singular
// values (gelsd, gelss).
extern Kernel<void(const LstsqCall&)> lstsq;

// The order of rows that exchanges 0 <-> pivots[0] - 1, 1 <-> pivots[1] - 1, ... lead to: order[i] tells which row
// comes to place i, or with `inverse` to which place row i comes.
struct PivotCall {
  int64_t batch = 1, rows = 0, count = 0;
  const int32_t* pivots = nullptr;  // [batch, count], valid
  int64_t* order = nullptr;         // [batch, rows]
  bool inverse = false;
};
extern Kernel<void(const PivotCall&)> pivot_order;

// Where a library with LAPACK may be, in the order of preference; installed by the bindings.
struct LapackPlace {
  std::string path;
  bool shared = false;  // with other packages, whose number of threads is theirs
};
extern std::vector<LapackPlace> (*lapack_places)();

}  // namespace tabula::kernels
