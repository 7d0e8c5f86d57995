// Lines of the running program, as small numbers that cost nothing to keep.
#pragma once

#include <cstdint>
#include <string>

namespace tabula {

// Set by the bindings, which know the interpreter's frames; 0 means that no line is known.
struct SourcePlaces {
  uint32_t (*current)() = nullptr;          // the line of the program that runs: the innermost one outside this package
  std::string (*text)(uint32_t) = nullptr;  // "file:line in function"; empty for 0
};
extern SourcePlaces source_places;

inline uint32_t current_place() { return source_places.current ? source_places.current() : 0; }

}  // namespace tabula
