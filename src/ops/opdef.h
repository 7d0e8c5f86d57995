// What an operation is. Read this first: every operation of Tabula is one `OpDef` row beside its implementation, and the
// Python function, the method, the in-place and out= forms, argument checks, autograd and stubs follow from it.
//
// To add one: write `Tensor my_op(const Tensor& x, int64_t dim)` in a family file, then
//     const Op my_op{OpDef{.schema = "my_op(Tensor input, int dim=-1) -> Tensor", .run = fn<run_my_op>, .on = Usual, ...}};
// and `extern const Op my_op;` in the family's header if other C++ code calls it.
#pragma once

#include <array>
#include <tuple>

#include "ops/schema.h"

namespace tabula {

class Op;
struct Backward;
struct Forward;
class Batched;

// ---- implementations: typed functions behind one boxed signature ------------------------------------------------

// Fills `out` from the arguments. Runs below autograd unless the row is a composite.
using Run = void (*)(const Op& op, const Value* args, Out& out);

namespace detail {

template <class T>
struct Unbox;
template <class T, Type type, bool optional = false, bool list = false>
struct UnboxAs {
  static constexpr ParamType param{.type = type, .optional = optional, .list = list};
};
template <> struct Unbox<const Tensor&> : UnboxAs<Tensor, Type::Tensor> {
  static const Tensor& get(const Value& v) { return v.tensor(); }
};
template <> struct Unbox<TensorList> : UnboxAs<TensorList, Type::Tensor, false, true> {
  static TensorList get(const Value& v) { return v.tensors(); }
};
template <> struct Unbox<const Operand&> : UnboxAs<Operand, Type::Operand> {
  static Operand get(const Value& v) { return Operand(v); }
};
template <> struct Unbox<const Scalar&> : UnboxAs<Scalar, Type::Scalar> {
  static const Scalar& get(const Value& v) { return v.scalar(); }
};
template <> struct Unbox<std::optional<Scalar>> : UnboxAs<Scalar, Type::Scalar, true> {
  static std::optional<Scalar> get(const Value& v) { return v.is_none() ? std::nullopt : std::optional(v.scalar()); }
};
template <> struct Unbox<int64_t> : UnboxAs<int64_t, Type::Int> {
  static int64_t get(const Value& v) { return v.integer(); }
};
template <> struct Unbox<std::optional<int64_t>> : UnboxAs<int64_t, Type::Int, true> {
  static std::optional<int64_t> get(const Value& v) { return v.is_none() ? std::nullopt : std::optional(v.integer()); }
};
template <> struct Unbox<IntList> : UnboxAs<IntList, Type::Int, false, true> {
  static IntList get(const Value& v) { return v.ints(); }
};
template <> struct Unbox<OptionalInts> : UnboxAs<IntList, Type::Int, true, true> {
  static OptionalInts get(const Value& v) { return v.is_none() ? std::nullopt : std::optional(v.ints()); }
};
template <> struct Unbox<double> : UnboxAs<double, Type::Float> {
  static double get(const Value& v) { return v.number(); }
};
template <> struct Unbox<std::optional<double>> : UnboxAs<double, Type::Float, true> {
  static std::optional<double> get(const Value& v) { return v.is_none() ? std::nullopt : std::optional(v.number()); }
};
template <> struct Unbox<std::span<const double>> : UnboxAs<double, Type::Float, false, true> {
  static std::span<const double> get(const Value& v) { return v.floats(); }
};
template <> struct Unbox<std::optional<std::span<const double>>> : UnboxAs<double, Type::Float, true, true> {
  static std::optional<std::span<const double>> get(const Value& v) { return v.is_none() ? std::nullopt : std::optional(v.floats()); }
};
template <> struct Unbox<std::span<const bool>> : UnboxAs<bool, Type::Bool, false, true> {
  static std::span<const bool> get(const Value& v) { return v.bools(); }
};
template <> struct Unbox<bool> : UnboxAs<bool, Type::Bool> {
  static bool get(const Value& v) { return v.flag(); }
};
template <> struct Unbox<std::optional<bool>> : UnboxAs<bool, Type::Bool, true> {
  static std::optional<bool> get(const Value& v) { return v.is_none() ? std::nullopt : std::optional(v.flag()); }
};
template <> struct Unbox<std::string_view> : UnboxAs<std::string_view, Type::Str> {
  static std::string_view get(const Value& v) { return v.str(); }
};
template <> struct Unbox<std::optional<std::string_view>> : UnboxAs<std::string_view, Type::Str, true> {
  static std::optional<std::string_view> get(const Value& v) { return v.is_none() ? std::nullopt : std::optional(v.str()); }
};
template <> struct Unbox<DType> : UnboxAs<DType, Type::DType> {
  static DType get(const Value& v) { return v.dtype(); }
};
template <> struct Unbox<std::optional<DType>> : UnboxAs<DType, Type::DType, true> {
  static std::optional<DType> get(const Value& v) { return v.is_none() ? std::nullopt : std::optional(v.dtype()); }
};
template <> struct Unbox<std::optional<Device>> : UnboxAs<Device, Type::Device, true> {
  static std::optional<Device> get(const Value& v) { return v.is_none() ? std::nullopt : std::optional(v.device()); }
};
template <> struct Unbox<std::optional<Layout>> : UnboxAs<Layout, Type::Layout, true> {
  static std::optional<Layout> get(const Value& v) { return v.is_none() ? std::nullopt : std::optional(v.layout()); }
};
template <> struct Unbox<std::optional<MemoryFormat>> : UnboxAs<MemoryFormat, Type::MemoryFormat, true> {
  static std::optional<MemoryFormat> get(const Value& v) { return v.is_none() ? std::nullopt : std::optional(v.memory_format()); }
};
template <> struct Unbox<MemoryFormat> : UnboxAs<MemoryFormat, Type::MemoryFormat> {
  static MemoryFormat get(const Value& v) { return v.memory_format(); }
};
template <> struct Unbox<Generator*> : UnboxAs<Generator*, Type::Generator, true> {
  static Generator* get(const Value& v) { return v.generator(); }
};

inline void box(Out& out, Tensor&& t) {
  out.tensors[0] = std::move(t);
  out.count = 1;
}
inline void box(Out& out, const Tensor& t) { box(out, Tensor(t)); }
template <class... T>
void box(Out& out, std::tuple<T...>&& all) {
  static_assert(sizeof...(T) <= Out::kInline);
  std::apply([&](auto&&... one) { ((out.tensors[out.count++] = std::move(one)), ...); }, std::move(all));
}
inline void box(Out& out, std::vector<Tensor>&& all) {
  out.resize(int(all.size()));
  out.is_list = true;
  for (size_t i = 0; i < all.size(); i++) out[int(i)] = std::move(all[i]);
}
template <class T>
  requires std::is_arithmetic_v<T> || std::is_same_v<T, Scalar> || std::is_same_v<T, DType>
void box(Out& out, T value) {
  if constexpr (std::is_floating_point_v<T>)
    out.plain = Value(double(value));
  else if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, Scalar> || std::is_same_v<T, DType>)
    out.plain = Value(value);
  else
    out.plain = Value(int64_t(value));
}

template <auto F, class Signature = decltype(F)>
struct Typed;
template <auto F, class R, class... A>
struct Typed<F, R (*)(A...)> {
  static constexpr int arity = int(sizeof...(A));
  static constexpr std::array<ParamType, sizeof...(A)> params{Unbox<A>::param...};
  static constexpr bool returns_nothing = std::is_void_v<R>;
  static void run(const Op&, const Value* args, Out& out) {
    [&]<size_t... I>(std::index_sequence<I...>) {
      if constexpr (std::is_void_v<R>)
        F(Unbox<A>::get(args[I])...);
      else
        box(out, F(Unbox<A>::get(args[I])...));
    }(std::index_sequence_for<A...>{});
  }
};

}  // namespace detail

// A typed function as an implementation; the row's schema is checked against its signature.
struct Implementation {
  Run run = nullptr;
  const ParamType* params = nullptr;  // null: takes the boxed arguments as they are
  int arity = -1;                     // asked instead of `params`: under -fsanitize=undefined an address may be null
};
template <auto F>
inline constexpr Implementation fn{&detail::Typed<F>::run, detail::Typed<F>::params.data(), detail::Typed<F>::arity};
constexpr Implementation boxed(Run run) { return {run, nullptr, -1}; }

// ---- derivatives -------------------------------------------------------------------------------------------------

// Sets the gradients of the inputs; see Backward in ops/backward.h for what it sees.
using Vjp = void (*)(Backward& b);

// Sets the tangents of the results; see Forward in ops/backward.h.
using Jvp = void (*)(Forward& f);

// What a derivative needs of the call, as bits: tensors, or the sizes and dtype of an input alone.
constexpr uint32_t in(int i) { return 1u << i; }
constexpr uint32_t out(int i = 0) { return 1u << (12 + i); }
constexpr uint32_t shape(int i = 0) { return 1u << (18 + i); }

// How the row acts on a batch, under vmap; see ops/batch.h, which also has the usual rules. Composites and pointwise rows
// need none.
using BatchRule = void (*)(Batched& b);

// ---- the row -----------------------------------------------------------------------------------------------------

// Where Python finds an operation.
enum Surface : uint16_t {
  Hidden = 0,            // nowhere: only derivatives call it, with arguments they have made themselves
  Function = 1,          // torch.name
  Method = 2,            // Tensor.name
  InPlace = 4,           // Tensor.name_ , derived
  OutForm = 8,           // out=, derived
  NN = 16,               // torch._C._nn.name, for torch.nn.functional
  Linalg = 32, Fft = 64, Special = 128,
  InPlaceFunction = 256, // torch.name_ as well
  Internal = 512,        // torch._C._ops.name only
  Both = Function | Method,
  Usual = Function | Method | OutForm,
  Pointwise_ = Function | Method | InPlace | OutForm,
};

// On which devices a row's tensor arguments may be. 0-d CPU tensors are always welcome where a number would be.
enum class Devices : uint8_t {
  Same,       // all on one
  CpuGuests,  // those after the first may be on the CPU
  Any,        // the row looks itself
};

// How the results depend on the tensor arguments that can have derivatives; forward mode then needs no other rule.
enum class Linear : uint8_t {
  No,     // or not known: the derivative's own transpose is taken
  Joint,  // in all of them together, optional ones too
  Each,   // in each with the others fixed, optional ones being left out
};

struct OpDef {
  const char* schema;
  Implementation run;
  uint16_t on = Both;
  bool composite = false;     // made of other operations: needs no derivative of its own
  bool view = false;          // the result shares memory with argument 0
  bool lazy_bits = false;     // sees lazily conjugated and negated inputs itself
  bool parts = false;         // sees sparse inputs itself
  Devices devices = Devices::Same;
  Linear linear = Linear::No;
  Jvp jvp = nullptr;          // only where tangents are not found well, or as in PyTorch, by transposing `vjp`
  Vjp vjp = nullptr;          // null: the results never require grad
  uint32_t save = 0;          // in(i) | out(i) | shape(i)
  bool cross_save = false;    // of two tensor inputs, each is saved only if the other requires grad
  uint8_t nondiff = 0;        // bit i: result i is not differentiable (indices, counts)
  const char* node = nullptr; // name of the graph node where it isn't CamelCase(name) + "Backward0"
  const char* method_schema = nullptr;  // where the method's parameters differ
  BatchRule batch = nullptr;
  int16_t kernel = -1;        // for shared implementations: which kernel
  uint16_t rule = 0;          // and which dtype rule
  const char* doc = "";
};

// The row, checked by the compiler.
struct Row {
  OpDef def;
  consteval Row(OpDef row) : def(row) {
    int count = 0;
    schema::parse(row.schema, [&](ParamType type, std::string_view, std::string_view, bool, bool) {
      if (row.run.arity >= 0) {
        if (count >= row.run.arity) throw "row: the schema has more parameters than the function";
        const ParamType& have = row.run.params[count];
        if (have.type != type.type) throw "row: a parameter's type differs between schema and function";
        if (have.list != type.list) throw "row: a parameter is a list in only one of schema and function";
        if (type.type != Type::Tensor && !type.list && have.optional != type.optional && type.type != Type::Generator)
          throw "row: a parameter is optional in only one of schema and function";
      }
      count++;
    });
    if (row.run.arity >= 0 && count != row.run.arity) throw "row: the function has more parameters than the schema";
    if (count > 24) throw "row: too many parameters";
  }
};

class Op {
 public:
  explicit Op(Row row);
  Op(const Op&) = delete;

  const OpDef def;
  const Schema schema;
  std::string node_name;

  // C++ calls: positional arguments, trailing ones left to their defaults. The first result.
  template <class... A>
  Tensor operator()(const A&... args) const {
    Out out;
    call(out, args...);
    return std::move(out[0]);
  }
  template <class... A>
  void call(Out& out, const A&... args) const;
  // The derived in-place form, `name_`, on the first argument.
  template <class... A>
  const Tensor& in_place(const Tensor& target, const A&... args) const;
  // The first N results.
  template <int N, class... A>
  std::array<Tensor, size_t(N)> many(const A&... args) const {
    Out out;
    call(out, args...);
    std::array<Tensor, size_t(N)> results;
    for (int i = 0; i < N; i++) results[size_t(i)] = std::move(out[i]);
    return results;
  }
  template <class... A>
  std::vector<Tensor> list(const A&... args) const {
    Out out;
    call(out, args...);
    std::vector<Tensor> results;
    for (int i = 0; i < out.count; i++) results.push_back(std::move(out[i]));
    return results;
  }

};

// All operations, in order of registration.
const std::vector<const Op*>& all_ops();

constexpr int kMaxParams = 24;

// The choke point (ops/call.cpp).
void call(const Op& op, const Value* args, Out& out);
// The in-place form: writes to argument 0 and returns it.
void call_in_place(const Op& op, const Value* args, Out& out);
// The out= form: `into` has as many tensors as the operation has results.
void call_out(const Op& op, const Value* args, Out& out, Tensor* into, int count);

template <class... A>
const Tensor& Op::in_place(const Tensor& target, const A&... args) const {
  const int given = int(sizeof...(A)) + 1, count = int(schema.params.size());
  Value values[kMaxParams] = {Value(target), Value(args)...};
  for (int i = given; i < count; i++) values[i] = schema.params[size_t(i)].default_value;
  Out out;
  tabula::call_in_place(*this, values, out);
  return target;
}

template <class... A>
void Op::call(Out& out, const A&... args) const {
  const int given = int(sizeof...(A)), count = int(schema.params.size());
  Value values[kMaxParams] = {Value(args)...};
  for (int i = given; i < count; i++) values[i] = schema.params[size_t(i)].default_value;
  tabula::call(*this, values, out);
}

}  // namespace tabula
