// torch._C._optim_*: a step of an optimizer over lists of tensors.
#include <algorithm>

#include "bindings/helpers.h"
#include "ops/optim_step.h"

namespace tabula::py {
namespace {

// A list or tuple of tensors; None counts as no tensor.
class Tensors {
 public:
  Tensors(const char* function, const char* name, PyObject* o) : fast_(checked(PySequence_Fast(o, "a list of Tensors is expected"))) {
    items_ = PySequence_Fast_ITEMS(fast_.get());
    count_ = PySequence_Fast_GET_SIZE(fast_.get());
    for (Py_ssize_t i = 0; i < count_; i++)
      if (!is_tensor(items_[i]) && items_[i] != Py_None) fail_argument(function, name, "list of Tensors", items_[i]);
  }
  Py_ssize_t size() const { return count_; }
  PyObject* object(Py_ssize_t i) const { return items_[i]; }
  const Tensor& optional(Py_ssize_t i) const {
    static const Tensor none;
    return items_[i] == Py_None ? none : unwrap(items_[i]);
  }
  const Tensor& operator[](Py_ssize_t i) const {
    check_type(items_[i] != Py_None, "an optimizer step expects Tensors, but found None");
    return unwrap(items_[i]);
  }

 private:
  PyRef fast_;
  PyObject** items_;
  Py_ssize_t count_;
};

double number(PyObject* o) {
  const double value = PyFloat_AsDouble(o);
  if (value == -1 && PyErr_Occurred()) throw PythonError{};
  return value;
}
bool flag(PyObject* o) {
  const int value = PyObject_IsTrue(o);
  checked(value);
  return value != 0;
}

void check_count(const char* function, Py_ssize_t given, Py_ssize_t wanted) {
  check_type(given == wanted, function, "() takes ", wanted, " positional arguments but ", given, " were given");
}

PyObject* optim_sgd(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return guarded([&]() -> PyObject* {
    static constexpr const char* name = "_optim_sgd";
    check_count(name, count, 10);
    const Tensors params(name, "params", args[0]), grads(name, "grads", args[1]), buffers(name, "momentum_buffers", args[2]);
    check_value(grads.size() == params.size() && buffers.size() == params.size(), name, "(): the lists differ in length");
    const SgdNumbers numbers{number(args[3]), number(args[4]), number(args[5]), number(args[6]), flag(args[7]), flag(args[8]), flag(args[9])};
    PyRef result = checked(PyList_New(params.size()));
    for (Py_ssize_t i = 0; i < params.size(); i++) {
      const Tensor& given = buffers.optional(i);
      Tensor kept = sgd_step(params[i], grads[i], given, numbers);
      PyObject* item = kept.defined() && !given.defined() ? checked(wrap(std::move(kept))).release() : Py_NewRef(buffers.object(i));
      PyList_SET_ITEM(result.get(), i, item);
    }
    return result.release();
  });
}

PyObject* optim_adam(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return guarded([&]() -> PyObject* {
    static constexpr const char* name = "_optim_adam";
    check_count(name, count, 15);
    const Tensors params(name, "params", args[0]), grads(name, "grads", args[1]), means(name, "exp_avgs", args[2]), squares(name, "exp_avg_sqs", args[3]),
        peaks(name, "max_exp_avg_sqs", args[4]), steps(name, "state_steps", args[5]);
    const bool amsgrad = flag(args[6]);
    const Py_ssize_t n = params.size();
    check_value(grads.size() == n && means.size() == n && squares.size() == n && steps.size() == n && (!amsgrad || peaks.size() == n), name, "(): the lists differ in length");
    AdamNumbers numbers{number(args[7]), number(args[8]), number(args[9]), number(args[10]), number(args[11]), flag(args[12]), flag(args[13]), flag(args[14])};
    const Tensor none;
    for (Py_ssize_t i = 0; i < n; i++) adam_step(params[i], grads[i], {means[i], squares[i], amsgrad ? peaks[i] : none, steps[i]}, numbers);
    Py_RETURN_NONE;
  });
}

constexpr struct {
  std::string_view name;
  kernels::Rule rule;
  Py_ssize_t numbers;
} rules[] = {{"adadelta", kernels::Rule::Adadelta, 4}, {"adagrad", kernels::Rule::Adagrad, 4}, {"adamax", kernels::Rule::Adamax, 5},   {"asgd", kernels::Rule::Asgd, 5},
             {"nadam", kernels::Rule::Nadam, 6},       {"radam", kernels::Rule::Radam, 5},     {"rmsprop", kernels::Rule::Rmsprop, 5}, {"rprop", kernels::Rule::Rprop, 5}};

// _optim_rule(name, params, grads, steps, kept: 3 lists, numbers per parameter: 2 lists, values, maximize, decoupled);
// False, and nothing done, where a subclass or a mode must see the operations
PyObject* optim_rule(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return guarded([&]() -> PyObject* {
    static constexpr const char* name = "_optim_rule";
    check_count(name, count, 12);
    const char* wanted = PyUnicode_AsUTF8(args[0]);
    if (!wanted) throw PythonError{};
    const auto* rule = std::find_if(std::begin(rules), std::end(rules), [&](const auto& r) { return r.name == wanted; });
    check_value(rule != std::end(rules), name, "(): unknown optimizer ", wanted);
    const Tensors params(name, "params", args[1]), grads(name, "grads", args[2]), steps(name, "steps", args[3]);
    const Tensors kept[] = {{name, "kept", args[4]}, {name, "kept", args[5]}, {name, "kept", args[6]}};
    const Tensors own[] = {{name, "numbers", args[7]}, {name, "numbers", args[8]}};
    const Py_ssize_t n = params.size();
    const auto fits = [&](const Tensors& list) { return list.size() == n || list.size() == 0; };
    check_value(grads.size() == n && steps.size() == n && kept[0].size() == n && std::all_of(std::begin(kept), std::end(kept), fits) && std::all_of(std::begin(own), std::end(own), fits),
                name, "(): the lists differ in length");
    check_value(own[0].size() == n || (rule->rule != kernels::Rule::Nadam && rule->rule != kernels::Rule::Asgd), name, "(): numbers of the parameters are missing");
    check_value(own[1].size() == n || rule->rule != kernels::Rule::Asgd, name, "(): numbers of the parameters are missing");
    check_value(kept[1].size() == n || rule->rule == kernels::Rule::Adagrad || rule->rule == kernels::Rule::Asgd || rule->rule == kernels::Rule::Rmsprop, name, "(): arrays of the parameters are missing");
    PyRef given = checked(PySequence_Fast(args[9], "a list of numbers is expected"));
    check_value(PySequence_Fast_GET_SIZE(given.get()) == rule->numbers, name, "(): ", wanted, " has ", rule->numbers, " numbers");
    double values[6];
    for (Py_ssize_t i = 0; i < rule->numbers; i++) values[i] = number(PySequence_Fast_GET_ITEM(given.get(), i));
    const RuleNumbers numbers{rule->rule, std::span<const double>(values, size_t(rule->numbers)), flag(args[10]), flag(args[11])};
    const Tensor none;
    const auto at = [&](const Tensors& list, Py_ssize_t i) { return list.size() ? &list[i] : &none; };
    for (Py_ssize_t i = 0; i < n; i++)
      if (steps_by_parts({&params[i], &grads[i], &steps[i], at(kept[0], i), at(kept[1], i), at(kept[2], i)})) Py_RETURN_FALSE;
    for (Py_ssize_t i = 0; i < n; i++)
      rule_step(params[i], grads[i], {{at(kept[0], i), at(kept[1], i), at(kept[2], i)}, {at(own[0], i), at(own[1], i)}, steps[i]}, numbers);
    Py_RETURN_TRUE;
  });
}

// _optim_adafactor(params, grads, rows, columns, variances, steps, lr, decay, eps1 or None, eps2, threshold, weight_decay, maximize)
PyObject* optim_adafactor(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return guarded([&]() -> PyObject* {
    static constexpr const char* name = "_optim_adafactor";
    check_count(name, count, 13);
    const Tensors params(name, "params", args[0]), grads(name, "grads", args[1]), rows(name, "row_vars", args[2]), columns(name, "col_vars", args[3]),
        variances(name, "variances", args[4]), steps(name, "state_steps", args[5]);
    const Py_ssize_t n = params.size();
    check_value(grads.size() == n && rows.size() == n && columns.size() == n && variances.size() == n && steps.size() == n, name, "(): the lists differ in length");
    const AdafactorNumbers numbers{number(args[6]), number(args[7]), args[8] == Py_None ? std::nullopt : std::optional(number(args[8])), number(args[9]),
                                   number(args[10]), number(args[11]), flag(args[12])};
    for (Py_ssize_t i = 0; i < n; i++) adafactor_step(params[i], grads[i], {rows.optional(i), columns.optional(i), variances.optional(i), steps[i]}, numbers);
    Py_RETURN_NONE;
  });
}

// _optim_muon(params, grads, buffers, lr, weight_decay, momentum, a, b, c, eps, iterations, nesterov, adjust or None)
PyObject* optim_muon(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return guarded([&]() -> PyObject* {
    static constexpr const char* name = "_optim_muon";
    check_count(name, count, 13);
    const Tensors params(name, "params", args[0]), grads(name, "grads", args[1]), buffers(name, "momentum_buffers", args[2]);
    check_value(grads.size() == params.size() && buffers.size() == params.size(), name, "(): the lists differ in length");
    MuonAdjust adjust = MuonAdjust::Original;
    if (args[12] != Py_None) {
      const char* how = PyUnicode_AsUTF8(args[12]);
      if (!how) throw PythonError{};
      adjust = std::string_view(how) == "original" ? MuonAdjust::Original : std::string_view(how) == "match_rms_adamw" ? MuonAdjust::MatchAdamW : MuonAdjust::None;
    }
    const MuonNumbers numbers{number(args[3]), number(args[4]), number(args[5]), {number(args[6]), number(args[7]), number(args[8])}, number(args[9]),
                              int64_t(number(args[10])), flag(args[11]), adjust};
    for (Py_ssize_t i = 0; i < params.size(); i++) muon_step(params[i], grads[i], buffers[i], numbers);
    Py_RETURN_NONE;
  });
}

// _optim_sparse_adam(params, indices, values, exp_avgs, exp_avg_sqs, counts, lr, beta1, beta2, eps, maximize)
PyObject* optim_sparse_adam(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return guarded([&]() -> PyObject* {
    static constexpr const char* name = "_optim_sparse_adam";
    check_count(name, count, 11);
    const Tensors params(name, "params", args[0]), indices(name, "indices", args[1]), values(name, "values", args[2]), means(name, "exp_avgs", args[3]),
        squares(name, "exp_avg_sqs", args[4]);
    PyRef counts = checked(PySequence_Fast(args[5], "a list of numbers is expected"));
    const Py_ssize_t n = params.size();
    check_value(indices.size() == n && values.size() == n && means.size() == n && squares.size() == n && PySequence_Fast_GET_SIZE(counts.get()) == n, name,
                "(): the lists differ in length");
    const SparseAdamNumbers numbers{number(args[6]), number(args[7]), number(args[8]), number(args[9]), flag(args[10])};
    for (Py_ssize_t i = 0; i < n; i++)
      sparse_adam_step(params[i], indices[i], values[i], {means[i], squares[i], number(PySequence_Fast_GET_ITEM(counts.get(), i))}, numbers);
    Py_RETURN_NONE;
  });
}

PyMethodDef functions[] = {
    {"_optim_adafactor", method(optim_adafactor), METH_FASTCALL, "Adafactor's step over lists of tensors, in place."},
    {"_optim_muon", method(optim_muon), METH_FASTCALL, "Muon's step over lists of tensors, in place."},
    {"_optim_sparse_adam", method(optim_sparse_adam), METH_FASTCALL, "SparseAdam's step over lists of tensors and parts of sparse gradients, in place."},
    {"_optim_rule", method(optim_rule), METH_FASTCALL, "A step of one of the smaller optimizers over lists of tensors, in place."},
    {"_optim_sgd", method(optim_sgd), METH_FASTCALL, "SGD's step over lists of tensors; returns the momentum buffers."},
    {"_optim_adam", method(optim_adam), METH_FASTCALL, "Adam's step over lists of tensors, in place."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

void add_optim(PyObject* module) { add_functions(module, functions); }

}  // namespace tabula::py
