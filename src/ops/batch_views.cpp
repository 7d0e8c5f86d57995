// Batch rules of views and joins: an example's sizes and dimension numbers, made those of the batch.
#include "ops/batch.h"
#include "ops/copy.h"
#include "ops/index_basic.h"
#include "ops/shape_ops.h"
#include "ops/view.h"

namespace tabula::batch {
namespace {

Dims with_batch(const Batched& b, IntList sizes) {
  Dims result(sizes);
  result.insert(0, b.size);
  return result;
}

int64_t elements(IntList sizes) {
  int64_t n = 1;
  for (int64_t s : sizes) n *= s;
  return n;
}

}  // namespace

void view(Batched& b) {
  // a size of -1 follows from one example: the batch may be empty
  b.set(1, IntList(with_batch(b, infer_size(b.args[1].ints(), b.sizes(0)))));
  b.run();
}

void expand(Batched& b) {
  const Dims wanted(b.args[1].ints());
  const int64_t extra = wanted.size() - b.rank(0);
  if (extra < 0) (void)expanded({Dims(b.sizes(0)), Dims(b.in(0).strides().subspan(1)), 0}, wanted);  // refuses
  b.set(0, b.padded(0, wanted.size()));
  b.set(1, IntList(with_batch(b, wanted)));
  b.run();
}

void as_strided(Batched& b) {
  const Tensor& x = b.in(0);
  Dims strides(b.args[2].ints());
  strides.insert(0, x.strides()[0]);
  b.set(1, IntList(with_batch(b, b.args[1].ints())));
  b.set(2, IntList(strides));
  b.run();
}

void as_strided_scatter(Batched& b) {
  // the strides are those of an example's dense memory
  b.set(0, contiguous(b.spread(0)), true);
  b.spread_in(1);
  Dims strides(b.args[3].ints());
  strides.insert(0, b.in(0).strides()[0]);
  b.set(2, IntList(with_batch(b, b.args[2].ints())));
  b.set(3, IntList(strides));
  b.run();
}

void permute(Batched& b) {
  const IntList order = b.args[1].ints();
  const int64_t rank = b.rank(0);
  check(int64_t(order.size()) == rank, "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired ordering of "
        "dimensions i.e. input.dim() = ", rank, " is not equal to len(dims) = ", order.size());
  Dims moved{0};
  for (int64_t d : order) moved.push_back(wrap_dim(d, rank) + 1);
  b.set(1, IntList(moved));
  b.run();
}

void t(Batched& b) {
  const int64_t rank = b.rank(0);
  check(rank <= 2, "t() expects a tensor with <= 2 dimensions, but self is ", rank, "D");
  b.give(0, rank < 2 ? alias_view(b.in(0)) : transpose(b.in(0), int64_t(1), int64_t(2)));
}

void unsqueeze(Batched& b) {
  b.set(1, Value(wrap_dim(b.args[1].integer(), b.rank(0) + 1) + 1));
  b.run();
}

void squeeze(Batched& b) {
  Dims ones;
  const IntList sizes = b.sizes(0);
  for (size_t d = 0; d < sizes.size(); d++)
    if (sizes[d] == 1) ones.push_back(int64_t(d) + 1);
  b.give(0, ones.empty() ? alias_view(b.in(0)) : squeeze_dims(b.in(0), IntList(ones)));
}

void repeat(Batched& b) {
  const Dims times(b.args[1].ints());
  check(times.size() >= b.rank(0), "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor");
  b.set(0, b.padded(0, times.size()));
  Dims all(times);
  all.insert(0, 1);
  b.set(1, IntList(all));
  b.run();
}

void roll(Batched& b) {
  if (!b.args[2].ints().empty()) return strict_dims(b);
  const Dims sizes(b.in(0).sizes()), flat{b.size, elements(b.sizes(0))}, one{1};
  b.set(0, reshape(b.in(0), IntList(flat)));
  b.set(2, IntList(one));
  b.run();
  b.give(0, reshape(b.out[0], IntList(sizes)));
}

void cat(Batched& b) {
  const TensorList list = b.args[0].tensors();
  int64_t rank = 0;
  for (const Tensor& t : list) {
    check(t.dim() > 1, "zero-dimensional tensor (at position ", &t - list.data(), ") cannot be concatenated");
    rank = std::max(rank, t.dim() - 1);
  }
  std::vector<Tensor> kept;  // examples without elements and of one dimension go with all others
  for (const Tensor& t : list)
    if (rank == 1 || t.dim() != 2 || t.sizes()[1] != 0) kept.push_back(t);
  b.set_list(0, kept, true);
  b.set(1, Value(wrap_dim(b.args[1].integer(), rank) + 1));
  b.run();
}

void stack(Batched& b) {
  const int64_t rank = b.args[0].tensors().empty() ? 0 : b.args[0].tensors()[0].dim() - 1;
  b.set(1, Value(wrap_dim(b.args[1].integer(), rank + 1) + 1));
  b.run();
}

// Positions in the memory of one example, which lie a constant distance apart for the next one.
void geometry(Batched& b) {
  const int first = int(b.op.schema.params.size()) - 6;
  for (uint8_t i : b.op.schema.tensor_params)
    if (b.is_tensor(i)) b.spread_in(i);
  int64_t reach = 0, least = INT64_MAX;
  for (int part : {first, first + 3}) {
    const int64_t offset = b.args[part + 2].integer();
    least = std::min(least, offset);
    reach = std::max(reach, offset + span_elements(b.args[part].ints(), b.args[part + 1].ints()));
  }
  for (int part : {first, first + 3}) {
    Dims strides(b.args[part + 1].ints());
    strides.insert(0, std::max<int64_t>(reach - least, 1));
    b.set(part, IntList(with_batch(b, b.args[part].ints())));
    b.set(part + 1, IntList(strides));
  }
  b.run();
}

// Memory formats name the dimensions of one example.
void formatted(Batched& b) {
  const int at = b.find("memory_format");
  const MemoryFormat format = b.args[at].is_none() ? MemoryFormat::Preserve : b.args[at].memory_format();
  if (format != MemoryFormat::ChannelsLast && format != MemoryFormat::ChannelsLast3d) return b.run();
  const int64_t rank = b.rank(0);
  check(rank == (format == MemoryFormat::ChannelsLast ? 4 : 5), "required rank ", format == MemoryFormat::ChannelsLast ? 4 : 5, " tensor to use ",
        format == MemoryFormat::ChannelsLast ? "channels_last" : "channels_last_3d", " format");
  Dims last{0, 1}, back{0, 1, rank};
  for (int64_t d = 3; d <= rank; d++) last.push_back(d);
  last.push_back(2);
  for (int64_t d = 2; d < rank; d++) back.push_back(d);
  b.set(0, tabula::permute(b.in(0), IntList(last)));
  b.set(at, Value(MemoryFormat::Contiguous));
  b.run();
  b.give(0, tabula::permute(b.out[0], IntList(back)));
}

void new_strided(Batched& b) {
  const IntList sizes = b.args[1].ints(), strides = b.args[2].ints();
  Dims apart(strides);
  apart.insert(0, std::max<int64_t>(span_elements(sizes, strides), 1));
  b.set(1, IntList(with_batch(b, sizes)));
  b.set(2, IntList(apart));
  b.run();
}

void resize_as(Batched& b) {
  b.spread_in(1);
  b.run();
}

void same_size(Batched& b) { b.out.plain = Value(tabula::same(b.sizes(0), b.sizes(1))); }

}  // namespace tabula::batch
