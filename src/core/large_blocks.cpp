#include "core/large_blocks.h"

#include <algorithm>
#include <map>
#include <new>
#include <tuple>
#include <vector>

#include "core/error.h"
#include "core/source_place.h"

namespace tabula {

SourcePlaces source_places;

void LargeBlocks::add(const void* block, size_t bytes, uint32_t place) {
  std::lock_guard guard(lock_);
  try {
    entries_[block] = {bytes, place, false, DType::Float32, {}};
  } catch (const std::bad_alloc&) {  // it is in use all the same, and unlisted
  }
}

void LargeBlocks::remove(const void* block) {
  std::lock_guard guard(lock_);
  entries_.erase(block);
}

void LargeBlocks::describe(const void* block, IntList sizes, DType dtype) {
  std::lock_guard guard(lock_);
  const auto at = entries_.find(block);
  if (at == entries_.end()) return;
  at->second.described = true;
  at->second.dtype = dtype;
  at->second.sizes = Dims(sizes);
}

std::string LargeBlocks::text(size_t lines) {
  // what one line of a loop has made is alike
  std::map<std::tuple<size_t, uint32_t, std::string>, size_t> alike;
  size_t total = 0, count = 0;
  {
    std::lock_guard guard(lock_);
    for (const auto& [block, e] : entries_) {
      const std::string shown =
          e.described ? concat(dtype_name(e.dtype), " ", shape_text(e.sizes)) : std::string("storage");
      alike[{e.bytes, e.place, shown}]++;
      total += e.bytes;
      count++;
    }
  }
  if (!count) return "";
  struct Line {
    size_t bytes, times;
    uint32_t place;
    std::string shown;
  };
  std::vector<Line> sorted;
  for (const auto& [key, times] : alike)
    sorted.push_back({std::get<0>(key), times, std::get<1>(key), std::get<2>(key)});
  std::sort(sorted.begin(), sorted.end(), [](const Line& a, const Line& b) {
    return std::tuple(b.bytes * b.times, a.shown, a.place) < std::tuple(a.bytes * a.times, b.shown, b.place);
  });
  std::string text = concat("\nLive tensors of 1 MiB or more: ", count, ", with ", total, " bytes. The largest:");
  for (size_t i = 0; i < sorted.size() && i < lines; i++) {
    const Line& line = sorted[i];
    text += concat("\n  ", line.bytes * line.times, " bytes: ");
    if (line.times > 1) text += concat(line.times, " x ");
    text += line.shown;
    const std::string where = source_places.text ? source_places.text(line.place) : std::string();
    text += where.empty() ? ", made where no line of Python is known" : ", made at " + where;
  }
  if (sorted.size() > lines) text += concat("\n  and ", sorted.size() - lines, " further kinds");
  return text;
}

LargeBlocks& large_blocks() {
  static LargeBlocks* const instance = new LargeBlocks;
  return *instance;
}

}  // namespace tabula
