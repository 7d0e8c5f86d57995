#include "ops/batch.h"

#include <deque>

#include "ops/copy.h"
#include "ops/index_basic.h"
#include "ops/view.h"

namespace tabula {

Tensor (*batch_behind)(const Tensor& t) = nullptr;

Batched::Batched(const Call& call, int64_t examples, Randomness how)
    : op(call.op), form(call.op.schema.mutated >= 0 ? Form::InPlace : call.form), size(examples), randomness(how), out(call.out),
      written(target() < 0 ? Tensor() : batch_behind(call.args[target()].tensor())) {
  std::copy_n(call.args, op.schema.params.size(), args);
  for (uint8_t i : op.schema.tensor_params) {
    const Value& v = call.args[i];
    if (v.is_tensor()) {
      const Tensor behind = int(i) == target() ? written : batch_behind(v.tensor());
      if (behind.defined()) set(i, behind, true);
    } else if (v.tag() == Value::Tag::TensorList) {
      const TensorList given = v.tensors();
      std::vector<Tensor> list(given.begin(), given.end()), front(given.size());
      bool any = false;
      for (size_t k = 0; k < list.size(); k++) {
        if (list[k].defined()) front[k] = batch_behind(list[k]);
        any |= front[k].defined();
      }
      if (!any) continue;
      for (size_t k = 0; k < list.size(); k++) {
        if (front[k].defined()) {
          list[k] = front[k];
        } else if (list[k].defined()) {
          Dims sizes(list[k].sizes());
          sizes.insert(0, size);
          list[k] = expand(list[k], IntList(sizes));
        }
      }
      set_list(i, std::move(list), true);
    }
  }
  if (target() < 0 || batched(target()) || !any_batched()) return;
  const bool arithmetic = op.def.kernel >= 0 || &op == &copy_;
  const std::string name = arithmetic ? "inplace arithmetic" : concat(op.schema.base_name, op.schema.mutated < 0 ? "_" : "");
  fail(ErrorKind::Runtime, "vmap: ", name, "(self, *extra_args) is not possible because there exists a Tensor `other` in extra_args that has more elements than `self`. "
       "This happened due to `other` being vmapped over but `self` not being vmapped over in a vmap. Please try to use out-of-place operators instead of ", name,
       ". If said operator is being called inside the PyTorch framework, please file a bug report instead.");
}

int Batched::find(std::string_view name) const {
  for (size_t i = 0; i < op.schema.params.size(); i++)
    if (op.schema.params[i].name == name) return int(i);
  return -1;
}

void Batched::set(int i, const Tensor& t) { args[i] = Value(tensors_.emplace_front(t)); }
void Batched::set(int i, const Tensor& t, bool is_batched) {
  set(i, t);
  batched_ = (batched_ & ~(1u << i)) | (uint32_t(is_batched) << i);
}
void Batched::set(int i, IntList list) { args[i] = Value(IntList(ints_.emplace_front(list))); }
void Batched::set_list(int i, std::vector<Tensor> list, bool is_batched) {
  args[i] = Value(TensorList(lists_.emplace_front(std::move(list))));
  batched_ = (batched_ & ~(1u << i)) | (uint32_t(is_batched) << i);
}

Tensor Batched::spread(int i) const {
  if (batched(i)) return in(i);
  Dims sizes(in(i).sizes());
  sizes.insert(0, size);
  return expand(in(i), IntList(sizes));
}

Tensor Batched::padded(int i, int64_t rank) const {
  Tensor t = spread(i);
  while (t.dim() < rank + 1) t = unsqueeze(t, int64_t(1));
  return t;
}

void Batched::run(const Op& other) {
  Value values[kMaxParams];
  for (size_t k = 0; k < other.schema.params.size(); k++) {
    const int own = &other == &op ? int(k) : find(other.schema.params[k].name);
    values[k] = own >= 0 ? args[own] : other.schema.params[k].default_value;
  }
  if (form == Form::InPlace)
    call_in_place(other, values, out);
  else
    tabula::call(other, values, out);
}

void Batched::without_data(Out& result) const {
  Value values[kMaxParams];
  std::copy_n(args, op.schema.params.size(), values);
  std::deque<Tensor> examples;
  for (uint8_t i : op.schema.tensor_params)
    if (is_tensor(i)) values[i] = Value(examples.emplace_back(Tensor::empty(sizes(i), in(i).dtype(), Device{DeviceKind::Meta})));
  tabula::call(op, values, result);
}

void Batched::try_example() const {
  Out nothing;
  without_data(nothing);
}

void Batched::run_none() {
  Out shapes;
  without_data(shapes);
  for (int k = 0; k < shapes.count; k++) {
    if (!shapes[k].defined()) {
      give(k, Tensor());
      continue;
    }
    Dims sizes(shapes[k].sizes());
    sizes.insert(0, 0);
    give(k, Tensor::empty(sizes, shapes[k].dtype(), in(op.schema.tensor_params[0]).device()));
  }
}

void Batched::run_each() {
  check(size > 0, "Batching rule not implemented for aten::", op.schema.base_name, ". The fallback path does not support vmap over dims of size 0.");
  warn(concat("There is a performance drop because we have not yet implemented the batching rule for aten::", op.schema.name,
              ". Please file us an issue on GitHub so that we can prioritize its implementation."));
  std::vector<std::vector<Tensor>> columns;
  for (int64_t example = 0; example < size; example++) {
    Value values[kMaxParams];
    std::copy_n(args, op.schema.params.size(), values);
    std::deque<Tensor> parts;
    std::deque<std::vector<Tensor>> lists;
    for (uint8_t i : op.schema.tensor_params) {
      if (!batched(i)) continue;
      if (args[i].is_tensor()) {
        values[i] = Value(parts.emplace_back(select(in(i), int64_t(0), example)));
      } else {
        std::vector<Tensor>& list = lists.emplace_back();
        for (const Tensor& t : args[i].tensors()) list.push_back(t.defined() ? select(t, int64_t(0), example) : Tensor());
        values[i] = Value(TensorList(list));
      }
    }
    Out one;
    if (form == Form::InPlace)
      call_in_place(op, values, one);
    else
      tabula::call(op, values, one);
    if (form == Form::InPlace) continue;
    columns.resize(size_t(one.count));
    out.is_list = one.is_list;
    for (int k = 0; k < one.count; k++) columns[size_t(k)].push_back(one[k]);
  }
  out.resize(int(columns.size()));
  for (size_t k = 0; k < columns.size(); k++)
    if (columns[k][0].defined()) out[int(k)] = stack(TensorList(columns[k]), int64_t(0));
}

void Batched::give(int k, Tensor result, bool is_batched) {
  if (out.count <= k) out.resize(k + 1);
  out[k] = std::move(result);
  plain_results_ = (plain_results_ & ~(1u << k)) | (uint32_t(!is_batched) << k);
}
void Batched::give_list(std::vector<Tensor> results) {
  out.resize(int(results.size()));
  out.is_list = true;
  for (size_t k = 0; k < results.size(); k++) out[int(k)] = std::move(results[k]);
}

bool is_random(const Op& op) {
  for (const Param& p : op.schema.params)
    if (p.type.type == Type::Generator) return true;
  return op.schema.base_name == "native_dropout";
}

BatchRule batch_rule(const Op& op) {
  if (op.def.batch || op.def.composite) return op.def.batch;
  return op.def.kernel >= 0 ? batch::aligned : batch::each;
}

}  // namespace tabula
