// The LAPACK library: opened at first use, its routines called with typed arguments.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace tabula::kernels {

// X(name with real numbers, name with complex numbers)
#define TABULA_LAPACK_ROUTINES(X)                                                                                   \
  X(potrf, potrf)                                                                                                   \
  X(potri, potri) X(potrs, potrs) X(getrf, getrf) X(getri, getri) X(getrs, getrs) X(trsm, trsm) X(geqrf, geqrf)     \
      X(orgqr, ungqr) X(ormqr, unmqr) X(syevd, heevd) X(geev, geev) X(gesdd, gesdd) X(sytrf, sytrf) X(hetrf, hetrf) \
          X(sytrs, sytrs) X(hetrs, hetrs) X(gels, gels) X(gelsy, gelsy) X(gelsd, gelsd) X(gelss, gelss)

enum class Routine : uint8_t {
#define X(real, complex) real,
  TABULA_LAPACK_ROUTINES(X)
#undef X
      Count
};

struct LapackLibrary {
  void* entry[int(Routine::Count)][4] = {};  // for float, double and their complex forms
  bool wide = false;                         // its integers have 64 bits
  bool shared = false;                       // other packages use it too
  void (*set_threads)(int) = nullptr;
  int (*get_threads)() = nullptr;
};

// Throws with the command that installs one if there is none.
const LapackLibrary& lapack_library();

// One thread inside the library for as long as this lives: batches are spread over our own threads, and the order of a
// sum must not depend on how many there are.
class OneThread {
 public:
  explicit OneThread(const LapackLibrary& library) : library_(library) {
    if (library.shared && library.set_threads && library.get_threads) {
      before_ = library.get_threads();
      if (before_ != 1) library.set_threads(1);
    }
  }
  ~OneThread() {
    if (before_ > 1) library_.set_threads(before_);
  }
  OneThread(const OneThread&) = delete;

 private:
  const LapackLibrary& library_;
  int before_ = 1;
};

// An integer argument. Little-endian machines read the same number from it through a pointer to 32 or to 64 bits, and a
// 32-bit result lies in its low half.
struct LapackInt {
  int64_t value = 0;
  LapackInt() = default;
  LapackInt(int64_t v) : value(v) {}
  int32_t result() const { return int32_t(value); }
};

template <class T>
inline constexpr int kLapackLetter = std::is_same_v<T, float>                 ? 0
                                     : std::is_same_v<T, double>              ? 1
                                     : std::is_same_v<T, std::complex<float>> ? 2
                                                                              : 3;

namespace detail {
inline const void* lapack_argument(const char& letter) { return &letter; }
inline void* lapack_argument(LapackInt& number) { return &number.value; }
template <class T>
void* lapack_argument(T* array) {
  return const_cast<void*>(static_cast<const void*>(array));
}
template <class A>
inline constexpr size_t kIsLetter = std::is_same_v<std::remove_cvref_t<A>, char>;
template <class>
using Pointer = const void*;
}  // namespace detail

// Fortran's convention: everything by address, and the lengths of the character arguments at the end, of which no
// routine here has more than four. (The caller removes arguments from the stack, so surplus ones are harmless.)
template <class T, class... A>
void lapack(const LapackLibrary& library, Routine routine, A&&... arguments) {
  using Function = void (*)(detail::Pointer<A>..., size_t, size_t, size_t, size_t);
  const auto function = reinterpret_cast<Function>(library.entry[int(routine)][kLapackLetter<T>]);
  function(detail::lapack_argument(arguments)..., 1, 1, 1, 1);
}

}  // namespace tabula::kernels
