// A vector of trivially copyable items with room for N inline: shapes and strides rarely need the heap.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <span>
#include <type_traits>

namespace tabula {

template <class T, int N>
class SmallVec {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  SmallVec() = default;
  explicit SmallVec(int64_t count, T value = T()) {
    resize(count);
    std::fill(begin(), end(), value);
  }
  SmallVec(std::initializer_list<T> items) { assign(items.begin(), int64_t(items.size())); }
  SmallVec(std::span<const T> items) { assign(items.data(), int64_t(items.size())); }
  SmallVec(const T* first, const T* last) { assign(first, last - first); }
  SmallVec(const SmallVec& other) { assign(other.data(), other.size()); }
  SmallVec(SmallVec&& other) noexcept : size_(other.size_), capacity_(other.capacity_), heap_(std::move(other.heap_)) {
    if (!heap_) std::copy_n(other.inline_, size_, inline_);
    other.size_ = 0;
    other.capacity_ = N;
  }
  SmallVec& operator=(const SmallVec& other) {
    if (this != &other) assign(other.data(), other.size());
    return *this;
  }
  SmallVec& operator=(SmallVec&& other) noexcept {
    if (this != &other) {
      size_ = other.size_;
      capacity_ = other.capacity_;
      heap_ = std::move(other.heap_);
      if (!heap_) std::copy_n(other.inline_, size_, inline_);
      other.size_ = 0;
      other.capacity_ = N;
    }
    return *this;
  }

  T* data() { return heap_ ? heap_.get() : inline_; }
  const T* data() const { return heap_ ? heap_.get() : inline_; }
  int64_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* begin() { return data(); }
  T* end() { return data() + size_; }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size_; }
  T& operator[](int64_t i) { return data()[i]; }
  const T& operator[](int64_t i) const { return data()[i]; }
  T& back() { return data()[size_ - 1]; }
  const T& back() const { return data()[size_ - 1]; }
  operator std::span<const T>() const { return {data(), size_t(size_)}; }

  void resize(int64_t count) {
    reserve(count);
    if (count > size_) std::fill(data() + size_, data() + count, T());
    size_ = uint32_t(count);
  }
  void reserve(int64_t count) {
    if (count <= capacity_) return;
    auto bigger = std::make_unique<T[]>(size_t(count));
    std::copy_n(data(), size_, bigger.get());
    heap_ = std::move(bigger);
    capacity_ = uint32_t(count);
  }
  void push_back(T value) {
    if (size_ == capacity_) reserve(int64_t(capacity_) * 2);
    data()[size_++] = value;
  }
  void pop_back() { size_--; }
  void clear() { size_ = 0; }
  void insert(int64_t at, T value) {
    push_back(value);
    std::rotate(begin() + at, end() - 1, end());
  }
  void erase(int64_t at) {
    std::copy(begin() + at + 1, end(), begin() + at);
    size_--;
  }
  void assign(const T* items, int64_t count) {
    size_ = 0;
    reserve(count);
    std::copy_n(items, count, data());
    size_ = uint32_t(count);
  }
  bool operator==(const SmallVec& other) const {
    return size_ == other.size_ && std::equal(begin(), end(), other.begin());
  }

 private:
  uint32_t size_ = 0, capacity_ = N;
  std::unique_ptr<T[]> heap_;
  T inline_[N];
};

using IntList = std::span<const int64_t>;  // borrowed sizes, strides, dims
using Dims = SmallVec<int64_t, 5>;         // owned ones

inline bool same(IntList a, IntList b) { return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin()); }

}  // namespace tabula
