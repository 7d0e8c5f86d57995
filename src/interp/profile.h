// What torch.profiler measures: each call of the choke point, each node of a backward pass, and ranges that the user names,
// with the time, the memory and the arguments of each. A session belongs to the thread that started it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ops/backward.h"

namespace tabula::profile {

struct Options {
  bool inputs = false, memory = false, stacks = false;
};

enum class Kind : uint8_t {
  Operation,
  Evaluate,    // all that the engine does with a node
  Derivative,  // the node's own function
  Range,       // named by the user
};

struct Record {
  Kind kind;
  Form form = Form::Plain;
  int32_t parent = -1;       // the record around this one
  uint32_t name = 0;         // into Session::names, of what is no operation
  int32_t stack = -1;        // what `stack_hook` gave
  const Op* op = nullptr;
  int64_t begin = 0, end = -1;  // nanoseconds since the epoch
  int64_t allocated = 0;     // bytes that storages took less those that they gave back
  int64_t sequence = -1;     // of the node that the operation makes, or of this one
  int64_t inputs = -1;       // into Session::inputs
};

struct MemoryRecord {
  int64_t time;
  const void* block;
  int64_t bytes, total;  // total: held by what the session has seen
  int32_t inside;        // the innermost open record
};

// How an argument lies in Session::inputs: its tag, then what the tag says.
enum InputTag : int64_t {
  kNothing,
  kTensor,   // dtype, dimensions, sizes, strides
  kTensors,  // count, then each as above; dimensions -1 for one that is not there
  kInteger, kNumber, kFlag,  // the value; a number's bits
  kIntegers,  // count, values
};

struct Session {
  Options options;
  int64_t serial = 0;
  std::vector<Record> records;
  std::vector<MemoryRecord> memory;
  std::vector<std::string> names;
  std::vector<int64_t> inputs;
  int64_t started = 0, stopped = 0;
  int32_t innermost = -1;
  int64_t held = 0;
  bool passing = false;  // the next call is the one that a record was just opened for
};

// The number of the Python stack at this moment; set by the bindings, asked under Options::stacks.
extern int32_t (*stack_hook)();

bool enabled();
void start(Options options);
std::unique_ptr<Session> stop();  // null where none runs; open records end now

// A range of the user's: begin gives its number for end, or -1 where nothing is measured. Ranges still open inside it end too.
int64_t begin_range(std::string_view name);
void end_range(int64_t which);

}  // namespace tabula::profile
