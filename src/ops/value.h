// `Value`: one argument of an operation, borrowed from the caller for the length of the call.
#pragma once

#include <optional>
#include <string_view>

#include "core/tensor.h"

namespace tabula {

class Generator;

enum class MemoryFormat : int8_t { Contiguous, Preserve, ChannelsLast, ChannelsLast3d };
enum class Layout : int8_t { Strided, SparseCoo, SparseCsr, SparseCsc, SparseBsr, SparseBsc, Jagged };

class Value {
 public:
  enum class Tag : uint8_t {
    None, Tensor, TensorList, Scalar, Ints, Floats, Bools, Str, DType, Device, Layout, MemoryFormat, Generator
  };

  constexpr Value() : i_(0) {}
  constexpr Value(std::nullopt_t) : i_(0) {}
  // an undefined tensor is how C++ passes "no tensor"
  Value(const tabula::Tensor& t) : tag_(t.defined() ? Tag::Tensor : Tag::None), p_(&t) {}
  Value(TensorList list) : tag_(Tag::TensorList), n_(uint32_t(list.size())), p_(list.data()) {}
  constexpr Value(const tabula::Scalar& s) : tag_(Tag::Scalar), s_(s) {}
  constexpr Value(bool v) : Value(tabula::Scalar(v)) {}
  constexpr Value(int v) : Value(tabula::Scalar(v)) {}
  constexpr Value(int64_t v) : Value(tabula::Scalar(v)) {}
  constexpr Value(double v) : Value(tabula::Scalar(v)) {}
  constexpr Value(IntList list) : tag_(Tag::Ints), n_(uint32_t(list.size())), p_(list.data()) {}
  Value(const Dims& dims) : Value(IntList(dims)) {}
  constexpr Value(std::span<const double> list) : tag_(Tag::Floats), n_(uint32_t(list.size())), p_(list.data()) {}
  constexpr Value(std::span<const bool> list) : tag_(Tag::Bools), n_(uint32_t(list.size())), p_(list.data()) {}
  constexpr Value(std::string_view text) : tag_(Tag::Str), n_(uint32_t(text.size())), p_(text.data()) {}
  constexpr Value(const char* text) : Value(std::string_view(text)) {}
  constexpr Value(tabula::DType d) : tag_(Tag::DType), i_(int64_t(d)) {}
  constexpr Value(tabula::Device d) : tag_(Tag::Device), i_(int64_t(d.kind) << 8 | uint8_t(d.index)) {}
  constexpr Value(tabula::Layout l) : tag_(Tag::Layout), i_(int64_t(l)) {}
  constexpr Value(tabula::MemoryFormat f) : tag_(Tag::MemoryFormat), i_(int64_t(f)) {}
  Value(tabula::Generator* g) : tag_(g ? Tag::Generator : Tag::None), p_(g) {}
  template <class T>
  constexpr Value(const std::optional<T>& v) : Value(v ? Value(*v) : Value()) {}

  constexpr Tag tag() const { return tag_; }
  constexpr bool is_none() const { return tag_ == Tag::None; }
  constexpr bool is_tensor() const { return tag_ == Tag::Tensor; }
  constexpr bool is_scalar() const { return tag_ == Tag::Scalar; }

  const tabula::Tensor& tensor() const {
    static const tabula::Tensor undefined;
    return is_none() ? undefined : *static_cast<const tabula::Tensor*>(p_);
  }
  TensorList tensors() const { return {static_cast<const tabula::Tensor*>(p_), n_}; }
  constexpr const tabula::Scalar& scalar() const { return s_; }
  int64_t integer() const { return s_.to_int(); }
  constexpr double number() const { return s_.to_double(); }
  constexpr bool flag() const { return s_.to_bool(); }
  IntList ints() const { return {static_cast<const int64_t*>(p_), n_}; }
  std::span<const double> floats() const { return {static_cast<const double*>(p_), n_}; }
  std::span<const bool> bools() const { return {static_cast<const bool*>(p_), n_}; }
  std::string_view str() const { return {static_cast<const char*>(p_), n_}; }
  tabula::DType dtype() const { return tabula::DType(i_); }
  tabula::Device device() const { return {DeviceKind(i_ >> 8), int8_t(i_ & 0xFF)}; }
  tabula::Layout layout() const { return tabula::Layout(i_); }
  tabula::MemoryFormat memory_format() const { return tabula::MemoryFormat(i_); }
  tabula::Generator* generator() const { return is_none() ? nullptr : static_cast<tabula::Generator*>(const_cast<void*>(p_)); }

 private:
  Tag tag_ = Tag::None;
  uint32_t n_ = 0;
  union {
    const void* p_;
    int64_t i_;
    tabula::Scalar s_;
  };
};

// What pointwise operations take where PyTorch's have a Tensor and a Scalar overload.
class Operand {
 public:
  Operand(const Value& v) : value_(v) {}
  Operand(const Tensor& t) : value_(t) {}
  Operand(const Scalar& s) : value_(s) {}
  bool is_tensor() const { return value_.is_tensor(); }
  const Tensor& tensor() const { return value_.tensor(); }
  const Scalar& scalar() const { return value_.scalar(); }
  operator Value() const { return value_; }

 private:
  Value value_;
};

using OptionalInts = std::optional<IntList>;

// Results of one call: tensors, or a single plain value.
struct Out {
  static constexpr int kInline = 5;
  Tensor tensors[kInline];
  int count = 0;
  bool is_list = false;           // a Python list of tensors rather than a tuple
  std::unique_ptr<Tensor[]> many;  // when there are more than kInline
  Value plain;                    // bool, int, float results
  Tensor* into = nullptr;         // in: out= tensors, or the tensor of an in-place call
  bool wrote_into = false;        // out: the implementation has filled `into` itself

  Tensor& operator[](int i) { return many ? many[size_t(i)] : tensors[i]; }
  TensorList list() const { return many ? TensorList(many.get(), size_t(count)) : TensorList(tensors, size_t(count)); }
  void resize(int n) {
    if (n > kInline) many = std::make_unique<Tensor[]>(size_t(n));
    count = n;
  }
};

}  // namespace tabula
