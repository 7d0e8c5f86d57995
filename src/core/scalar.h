// A number without a tensor: what Python passes for `alpha`, `value`, fill values and the like.
#pragma once

#include "core/dtype.h"

namespace tabula {

class Scalar {
 public:
  enum class Kind : uint8_t { Bool, Int, Float, Complex };
  constexpr Scalar() : kind_(Kind::Int), i_(0) {}
  constexpr Scalar(bool v) : kind_(Kind::Bool), i_(v) {}
  constexpr Scalar(int v) : kind_(Kind::Int), i_(v) {}
  constexpr Scalar(int64_t v) : kind_(Kind::Int), i_(v) {}
  constexpr Scalar(double v) : kind_(Kind::Float), d_(v) {}
  constexpr Scalar(c128 v) : kind_(Kind::Complex), d_(v.real()), im_(v.imag()) {}

  constexpr Kind kind() const { return kind_; }
  constexpr bool is_complex() const { return kind_ == Kind::Complex; }
  constexpr bool is_floating() const { return kind_ == Kind::Float; }
  constexpr bool is_bool() const { return kind_ == Kind::Bool; }
  constexpr bool is_integral() const { return kind_ == Kind::Int || kind_ == Kind::Bool; }

  constexpr double real() const { return is_integral() ? double(i_) : d_; }
  constexpr double imag() const { return im_; }
  constexpr double to_double() const { return real(); }
  int64_t to_int() const { return is_integral() ? i_ : convert<int64_t>(d_); }
  constexpr bool to_bool() const { return is_integral() ? i_ != 0 : d_ != 0 || im_ != 0; }
  c128 to_complex() const { return {real(), im_}; }
  template <class T>
  T to() const {
    if (is_complex()) return convert<T>(to_complex());
    return is_integral() ? convert<T>(i_) : convert<T>(d_);
  }
  constexpr bool equals(double v) const { return real() == v && im_ == 0; }
  Scalar operator-() const {
    if (is_complex()) return Scalar(-to_complex());
    return is_integral() ? Scalar(-i_) : Scalar(-d_);
  }
  // The dtype a tensor made of this number alone has, given the default floating dtype.
  DType dtype(DType default_floating) const {
    switch (kind_) {
      case Kind::Bool: return DType::Bool;
      case Kind::Int: return DType::Int64;
      case Kind::Float: return default_floating;
      default: return complex_dtype(default_floating);
    }
  }

 private:
  Kind kind_;
  union {
    int64_t i_;
    double d_;
  };
  double im_ = 0;
};

}  // namespace tabula
