// Float arithmetic, rounding, comparison. Compiled once per instruction set.
#include "kernels/cpu/pointwise_block.h"
#include "kernels/formulas/rows.h"

namespace tabula::kernels {
inline namespace TABULA_ISA {
namespace {

// A factor of one, the usual alpha, costs no multiplication.
template <class T, class Plain, class Scaled, class E = T>
void alpha_block(int64_t n, char* const* out, const char* const* in, const double* params, const int64_t* iparams,
                 uint32_t repeated) {
  if (params[0] == 1)
    vector_block<T, 2, Plain, E>(n, out, in, params, iparams, repeated);
  else
    vector_block<T, 2, Scaled, E>(n, out, in, params, iparams, repeated);
}
template <class T, class Plain, class Scaled>
void define_alpha(BlockTable& table, Pointwise op, Plain, Scaled) {
  table.at[int(op)][int(dtype_of<T>)] = alpha_block<T, Plain, Scaled>;
  table.takes_repeated[int(op)][int(dtype_of<T>)] = true;
  if constexpr (std::is_same_v<T, float>) table.bfloat16[int(op)] = alpha_block<T, Plain, Scaled, BFloat16>;
}

template <class T, class Plain, class Up, class Down>
void round_block(int64_t n, char* const* out, const char* const* in, const double* params, const int64_t* iparams,
                 uint32_t repeated) {
  const double ten[kMaxParams] = {std::pow(10.0, std::fabs(params[0]))};
  if (params[0] == 0)
    vector_block<T, 1, Plain>(n, out, in, ten, iparams, repeated);
  else if (params[0] > 0)
    vector_block<T, 1, Up>(n, out, in, ten, iparams, repeated);
  else
    vector_block<T, 1, Down>(n, out, in, ten, iparams, repeated);
}
template <class T, class Plain, class Up, class Down>
void define_round(BlockTable& table, Plain, Up, Down) {
  table.at[int(Pointwise::round)][int(dtype_of<T>)] = round_block<T, Plain, Up, Down>;
}

template <class T>
void define_for(BlockTable& table) {
  using namespace formulas;
  define_moves<T>(table);
  define_alpha<T>(
      table, Pointwise::add, [](const auto&, auto x, auto y) TABULA_ALWAYS { return x + y; },
      [](const auto& p, auto x, auto y) TABULA_ALWAYS { return formulas::add(x, y, p[0]); });
  define_alpha<T>(
      table, Pointwise::sub, [](const auto&, auto x, auto y) TABULA_ALWAYS { return x - y; },
      [](const auto& p, auto x, auto y) TABULA_ALWAYS { return formulas::sub(x, y, p[0]); });
  define_alpha<T>(
      table, Pointwise::rsub, [](const auto&, auto x, auto y) TABULA_ALWAYS { return y - x; },
      [](const auto& p, auto x, auto y) TABULA_ALWAYS { return formulas::rsub(x, y, p[0]); });
  define_round<T>(
      table, [](const auto&, auto x) TABULA_ALWAYS { return round_even(x); },
      [](const auto& p, auto x) TABULA_ALWAYS { return round_up_scaled(x, p[0]); },
      [](const auto& p, auto x) TABULA_ALWAYS { return round_down_scaled(x, p[0]); });

  arith_rows(Definer<T>{table});
  if constexpr (std::is_same_v<T, float>) arith_rows(DefinerBFloat16{table});

  TABULA_ROW1_TO(bool, isnan, x != x);
  TABULA_ROW1_TO(bool, isinf, isinf(x));
  TABULA_ROW1_TO(bool, isposinf, x == T(__builtin_inf()));
  TABULA_ROW1_TO(bool, isneginf, x == -T(__builtin_inf()));
  TABULA_ROW1_TO(bool, isfinite, isfinite(x));
  TABULA_ROW1_TO(bool, signbit, signbit(x));
  TABULA_ROW1_TO(bool, logical_not, x == T(0));
  TABULA_ROW2_TO(bool, logical_and, (x != T(0)) & (y != T(0)));
  TABULA_ROW2_TO(bool, logical_or, (x != T(0)) | (y != T(0)));
  TABULA_ROW2_TO(bool, logical_xor, (x != T(0)) ^ (y != T(0)));
  TABULA_ROW2_TO(bool, eq, x == y);
  TABULA_ROW2_TO(bool, ne, x != y);
  TABULA_ROW2_TO(bool, lt, x < y);
  TABULA_ROW2_TO(bool, le, x <= y);
  TABULA_ROW2_TO(bool, gt, x > y);
  TABULA_ROW2_TO(bool, ge, x >= y);
}

}  // namespace

void define_arith(BlockTable& table) {
  define_for<float>(table);
  define_for<double>(table);
}

}  // namespace TABULA_ISA
}  // namespace tabula::kernels
