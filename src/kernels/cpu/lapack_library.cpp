#include "kernels/cpu/lapack_library.h"

#include <dlfcn.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "core/error.h"
#include "kernels/lapack.h"

namespace tabula::kernels {

std::vector<LapackPlace> (*lapack_places)() = nullptr;

namespace {

constexpr const char* kNames[int(Routine::Count)][2] = {
#define X(real, complex) {#real, #complex},
    TABULA_LAPACK_ROUTINES(X)
#undef X
};

// Builds of OpenBLAS differ in what they put before and after a routine's name.
struct Naming {
  const char *prefix, *suffix;
  bool wide;
};
constexpr Naming kNamings[] = {{"scipy_", "_", false}, {"scipy_", "_64_", true}, {"", "_", false}, {"", "_64_", true}};

bool read(void* handle, const Naming& naming, LapackLibrary& library) {
  const auto find = [&](const std::string& name) { return dlsym(handle, name.c_str()); };
  for (int routine = 0; routine < int(Routine::Count); routine++) {
    for (int letter = 0; letter < 4; letter++) {
      if (routine == int(Routine::hetrf) || routine == int(Routine::hetrs))
        if (letter < 2) continue;  // of a real matrix, Hermitian is symmetric
      const std::string name =
          naming.prefix + std::string(1, "sdcz"[letter]) + kNames[routine][letter >= 2] + naming.suffix;
      if (!(library.entry[routine][letter] = find(name))) return false;
    }
  }
  library.wide = naming.wide;
  const std::string end = naming.wide ? "64_" : "";
  library.set_threads =
      reinterpret_cast<void (*)(int)>(find(naming.prefix + std::string("openblas_set_num_threads") + end));
  library.get_threads =
      reinterpret_cast<int (*)()>(find(naming.prefix + std::string("openblas_get_num_threads") + end));
  return true;
}

LapackLibrary open_library(const std::vector<LapackPlace>& places) {
  for (const LapackPlace& place : places) {
    void* const handle = dlopen(place.path.c_str(), RTLD_NOW | RTLD_LOCAL);  // stays open with the process
    if (!handle) continue;
    for (const Naming& naming : kNamings) {
      LapackLibrary library;
      if (!read(handle, naming, library)) continue;
      library.shared = place.shared;
      if (!library.shared && library.set_threads) library.set_threads(1);
      return library;
    }
    dlclose(handle);
  }
  fail(ErrorKind::Runtime,
       "Decompositions and solvers of matrices need LAPACK, which was not found: pip install scipy-openblas32");
}

}  // namespace

const LapackLibrary& lapack_library() {
  static std::atomic<const LapackLibrary*> ready = nullptr;
  if (const LapackLibrary* library = ready.load(std::memory_order_acquire)) return *library;
  // Python is asked for the places, and may let other threads run meanwhile: nothing of ours may be locked.
  const std::vector<LapackPlace> places = lapack_places ? lapack_places() : std::vector<LapackPlace>();
  static std::mutex opening;
  static std::unique_ptr<const LapackLibrary> opened;
  const std::lock_guard lock(opening);
  if (!opened) opened = std::make_unique<const LapackLibrary>(open_library(places));
  ready.store(opened.get(), std::memory_order_release);
  return *opened;
}

}  // namespace tabula::kernels
