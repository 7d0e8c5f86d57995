// Runs the graph backwards.
#pragma once

#include "autograd/node.h"

namespace tabula::autograd {

struct BackwardRequest {
  std::vector<Edge> roots;
  std::vector<Tensor> root_grads;
  bool keep_graph = false;
  bool create_graph = false;
  bool accumulate = true;       // into the leaves' .grad
  uint64_t since = 0;           // edges to nodes of an earlier sequence number are not followed
  std::vector<Edge> captures;   // the gradients arriving here are returned; then only paths to them run
};

std::vector<Tensor> run_backward(BackwardRequest request);

// About the innermost backward that runs in this thread.
int64_t current_run();              // its number; -1 if there is none
bool will_execute(const Node& node);  // throws if there is none
bool runs_for_inputs();               // it was asked for some gradients, not for all leaves'; false if there is none

// Sees each node while profiling is on: around all that a run does with it, and around its derivative alone.
struct NodeWatch {
  int64_t (*begin)(const Node& node, bool whole) = nullptr;
  void (*end)(int64_t which) = nullptr;
};
extern NodeWatch node_watch;

struct Anomaly {
  bool enabled = false, check_nan = true;
  std::string (*traceback)() = nullptr;                                    // of the current Python frame
  void (*report)(const Node& node, const std::string& traceback) = nullptr;  // warns where the forward call was
};
extern Anomaly anomaly;

// What the engine has found of numbers that are not finite, where the thread watches for them (ops/number_watch.h).
struct GradientFinding {
  enum class Kind : uint8_t {
    Derivative,   // a node's derivative: `came_in` are the gradients of its results, `made` those of its inputs
    Sum,          // `made`: the gradients of the node's results, of which one is a sum of several
    Accumulated,  // `made`: the new .grad of the node's leaf, a sum of finite numbers
  };
  Kind kind;
  const Node& node;
  TensorList came_in, made;
  bool root = false;  // backward began at this node: its gradient is the caller's
};
struct GradientWatch {
  void (*found)(const GradientFinding& finding) = nullptr;
};
extern GradientWatch gradient_watch;
// Nodes that a derivative makes (create_graph) belong to the line of the operation whose derivative it is.
extern thread_local constinit uint32_t inherited_place __attribute__((tls_model("initial-exec")));

}  // namespace tabula::autograd
