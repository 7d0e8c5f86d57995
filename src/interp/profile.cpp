#include "interp/profile.h"

#include <bit>
#include <chrono>

#include "autograd/engine.h"
#include "core/allocator.h"
#include "core/state.h"
#include "interp/interp.h"

namespace tabula::profile {

int32_t (*stack_hook)() = nullptr;

namespace {

thread_local constinit Session* session __attribute__((tls_model("initial-exec"))) = nullptr;
std::atomic<int64_t> sessions_started{0};
std::atomic<int> memory_sessions{0};

int64_t now() {
  // the wall clock can be set back: it only says when the first measurement was
  using namespace std::chrono;
  static const auto offset = system_clock::now().time_since_epoch() - steady_clock::now().time_since_epoch();
  return duration_cast<nanoseconds>(steady_clock::now().time_since_epoch() + offset).count();
}

int64_t open(Session& s, Record record) {
  record.parent = s.innermost;
  record.allocated = -s.held;
  if (s.options.stacks && stack_hook) record.stack = stack_hook();
  s.innermost = int32_t(s.records.size());
  s.records.push_back(record);
  // last, so that keeping the books is not in the measured time
  s.records.back().begin = now();
  return s.serial << 32 | s.innermost;
}

void close(Session& s, int32_t index) {
  const int64_t end = now();
  for (int32_t at = s.innermost; at >= 0; at = s.records[size_t(at)].parent) {
    Record& record = s.records[size_t(at)];
    record.end = end;
    record.allocated += s.held;
    if (at == index) {
      s.innermost = record.parent;
      return;
    }
  }
}

bool is_open(const Session& s, int32_t index) {
  return index >= 0 && size_t(index) < s.records.size() && s.records[size_t(index)].end < 0;
}

void note_tensor(std::vector<int64_t>& notes, const Tensor& t) {
  notes.push_back(t.defined() ? int64_t(t.dtype()) : 0);
  notes.push_back(t.defined() ? t.dim() : -1);
  if (!t.defined()) return;
  const IntList sizes = t.sizes(), strides = t.strides();
  notes.insert(notes.end(), sizes.begin(), sizes.end());
  notes.insert(notes.end(), strides.begin(), strides.end());
}

void note_input(std::vector<int64_t>& notes, const Value& v) {
  switch (v.tag()) {
    case Value::Tag::Tensor:
      notes.push_back(kTensor);
      note_tensor(notes, v.tensor());
      break;
    case Value::Tag::TensorList:
      notes.push_back(kTensors);
      notes.push_back(int64_t(v.tensors().size()));
      for (const Tensor& t : v.tensors()) note_tensor(notes, t);
      break;
    case Value::Tag::Scalar: {
      const DType dtype = v.scalar().dtype(DType::Float64);
      if (is_complex(dtype)) {
        notes.push_back(kNothing);
      } else if (is_floating(dtype)) {
        notes.push_back(kNumber);
        notes.push_back(std::bit_cast<int64_t>(v.number()));
      } else {
        notes.push_back(dtype == DType::Bool ? kFlag : kInteger);
        notes.push_back(v.integer());
      }
      break;
    }
    case Value::Tag::Ints:
      notes.push_back(kIntegers);
      notes.push_back(int64_t(v.ints().size()));
      notes.insert(notes.end(), v.ints().begin(), v.ints().end());
      break;
    default: notes.push_back(kNothing);
  }
}

class Scope {
 public:
  Scope(Session& s, const Record& record) : which_(open(s, record)) {}
  ~Scope() { end_range(which_); }
  Scope(const Scope&) = delete;

 private:
  int64_t which_;
};

// Opens a record and makes the call again, which then passes.
bool layer(const Call& call, uint8_t bits) {
  if (!(thread_state.interpreters & kProfiling)) return false;
  Session& s = *session;
  if (std::exchange(s.passing, false)) return false;
  Record record{.kind = Kind::Operation, .form = call.form, .op = &call.op};
  if ((bits & kNeedsGrad) && thread_state.grad_enabled && !thread_state.below_autograd)
    record.sequence = int64_t(autograd::next_sequence());
  if (s.options.inputs) {
    record.inputs = int64_t(s.inputs.size());
    for (size_t i = 0; i < call.op.schema.params.size(); i++) note_input(s.inputs, call.args[i]);
  }
  const Scope scope(s, record);
  s.passing = true;
  switch (call.form) {
    case Form::Plain: tabula::call(call.op, call.args, call.out); break;
    case Form::InPlace: call_in_place(call.op, call.args, call.out); break;
    case Form::Into: call_out(call.op, call.args, call.out, call.into, call.count); break;
  }
  return true;
}

int64_t begin_node(const autograd::Node& node, bool whole) {
  Session& s = *session;
  const std::string name = node.name();
  s.names.push_back(whole ? "autograd::engine::evaluate_function: " + name : name);
  return open(s, {.kind = whole ? Kind::Evaluate : Kind::Derivative, .name = uint32_t(s.names.size() - 1), .sequence = int64_t(node.sequence)});
}

void see_memory(const void* block, int64_t bytes) {
  if (!session || !session->options.memory || bytes == 0) return;
  Session& s = *session;
  s.held += bytes;
  s.memory.push_back({now(), block, bytes, s.held, s.innermost});
}

}  // namespace

bool enabled() { return session != nullptr; }

void start(Options options) {
  check(!session, "Profiler is already enabled on this thread");
  interp::install(interp::Place::Profile, layer);
  autograd::node_watch = {begin_node, end_range};
  auto fresh = std::make_unique<Session>();
  fresh->options = options;
  fresh->serial = sessions_started.fetch_add(1) + 1;
  fresh->records.reserve(4096);
  if (options.memory && memory_sessions.fetch_add(1) == 0) storage_watch.store(see_memory, std::memory_order_relaxed);
  session = fresh.release();
  thread_state.interpreters |= kProfiling;
  session->started = now();
}

std::unique_ptr<Session> stop() {
  std::unique_ptr<Session> done(std::exchange(session, nullptr));
  if (!done) return done;
  thread_state.interpreters &= uint8_t(~kProfiling);
  if (done->options.memory && memory_sessions.fetch_sub(1) == 1) storage_watch.store(nullptr, std::memory_order_relaxed);
  done->stopped = now();
  close(*done, -1);
  return done;
}

int64_t begin_range(std::string_view name) {
  if (!session) return -1;
  session->names.emplace_back(name);
  return open(*session, {.kind = Kind::Range, .name = uint32_t(session->names.size() - 1)});
}

void end_range(int64_t which) {
  if (which < 0 || !session || session->serial != which >> 32) return;
  const int32_t index = int32_t(which & 0xFFFFFFFF);
  if (is_open(*session, index)) close(*session, index);
}

}  // namespace tabula::profile
