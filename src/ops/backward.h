// What a derivative formula sees and fills.
#pragma once

#include "ops/opdef.h"

namespace tabula {

struct Backward {
  virtual ~Backward() = default;
  // Gradient of result i; zeros where nothing came in.
  virtual const Tensor& g(int i = 0) = 0;
  virtual bool has_g(int i) = 0;                  // did a gradient of result i come in?
  virtual const Tensor& in(int i) = 0;            // saved by in(i); undefined where the argument was None
  virtual const Tensor& in(int i, int k) = 0;     // k-th tensor of a saved list
  virtual const Tensor& out(int i = 0) = 0;       // saved by out(i)
  virtual IntList sizes(int i) = 0;               // saved by shape(i)
  virtual DType dtype(int i) = 0;                 // saved by shape(i)
  virtual IntList list_sizes(int i, int k) = 0;   // sizes of the k-th tensor of a list; saved by shape(i)
  virtual const Value& arg(int i) = 0;            // any argument that is no tensor
  virtual bool needs(int i) = 0;                  // does argument i want a gradient?
  virtual bool needs(int i, int k) = 0;
  virtual int list_size(int i) = 0;
  virtual void set(int i, Tensor gradient) = 0;
  virtual void set(int i, int k, Tensor gradient) = 0;

  int64_t integer(int i) { return arg(i).integer(); }
  double number(int i) { return arg(i).number(); }
  bool flag(int i) { return arg(i).flag(); }
  bool has(int i) { return !arg(i).is_none(); }
  IntList ints(int i) { return arg(i).ints(); }
  std::string_view str(int i) { return arg(i).str(); }
  // A saved argument that was a tensor or a number, as it was.
  Operand operand(int i) { return arg(i).is_scalar() ? Operand(arg(i)) : Operand(in(i)); }
};

// What a formula for tangents sees and fills.
struct Forward {
  virtual ~Forward() = default;
  virtual const Tensor& in(int i) = 0;       // the primal of an argument
  virtual const Tensor& tangent(int i) = 0;  // undefined where it has none
  virtual const Tensor& out(int i = 0) = 0;
  virtual const Value& arg(int i) = 0;       // any argument
  virtual void set(int i, Tensor tangent) = 0;

  int64_t integer(int i) { return arg(i).integer(); }
  bool flag(int i) { return arg(i).flag(); }
};

// Installed by the autograd layer.
struct AutogradHooks {
  // Runs an operation that has an input which requires grad.
  void (*call)(const Op& op, const Value* args, Out& out) = nullptr;
  // Checks before, and graph bookkeeping after, a write to `target`.
  void (*in_place)(const Op& op, const Value* args, Out& out) = nullptr;
  // The same for calls with an argument that carries a tangent, whether or not one requires grad.
  void (*call_dual)(const Op& op, const Value* args, Out& out) = nullptr;
  void (*in_place_dual)(const Op& op, const Value* args, Out& out) = nullptr;
  bool (*has_tangent)(const Tensor& t) = nullptr;  // of a level that is open
  // d outputs / d inputs, differentiable again; undefined where there is no path. The inputs and all that leads from
  // them to the outputs were made after `now()` had returned `since`.
  std::vector<Tensor> (*grad)(TensorList outputs, TensorList inputs, TensorList grad_outputs, uint64_t since) = nullptr;
  uint64_t (*now)() = nullptr;
  void (*set_requires_grad)(const Tensor& t, bool value) = nullptr;
  // A tensor of its own over the memory of `t`, so that a partial derivative can be taken by it. `further`: its
  // gradient flows on to `t`.
  Tensor (*own_variable)(const Tensor& t, bool further) = nullptr;
};
extern AutogradHooks autograd_hooks;

// The lower half of the choke point, for the autograd layer: lazy bits and the implementation, nothing recorded.
void run_below(const Op& op, const Value* args, Out& out);
void run_in_place(const Op& op, const Value* args, Out& out);

// The layers over the choke point (src/interp, and Python's dispatch in the bindings) see a call before it runs.
enum class Form : uint8_t {
  Plain,
  InPlace,  // writes to the argument that the schema marks, or to the first
  Into,     // out=: `into` has `count` tensors
};
struct Call {
  const Op& op;
  const Value* args;
  Out& out;
  Form form = Form::Plain;
  Tensor* into = nullptr;
  int count = 0;
};
// True: the call is done, `call.out` has its results. Null where no such layer is loaded.
struct CallHooks {
  // Before autograd, where an argument has kParts or an interpreter other than kDispatchMode is on.
  bool (*above_autograd)(const Call& call, uint8_t bits) = nullptr;
  // After autograd, where an argument has kDispatch or kDispatchMode is on.
  bool (*below_autograd)(const Call& call, uint8_t bits) = nullptr;
};
extern CallHooks call_hooks;

}  // namespace tabula
