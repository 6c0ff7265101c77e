// Node: what the tape knows of one written value.
//
// The tape is the set of nodes that handles still lead to. A node's id is the
// number of the call that made its value, so falling ids are a reverse
// topological order whatever was computed when. Nodes hold no device memory but
// what their pullback saved.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "core/tape/late_destruction.h"
#include "core/tensor/pool.h"
#include "core/tensor/ref_count.h"
#include "jacquard/call_site.h"
#include "jacquard/tracked_tensor.h"

namespace jacquard::tape {

class Node;
class PullbackContext;
class PushContext;
class Recut;
using NodePtr = IntrusivePtr<Node>;

// The inputs of a node: up to four in place.
class Edges {
 public:
  Edges() = default;
  ~Edges() { clear(); }
  Edges(const Edges&) = delete;
  Edges& operator=(const Edges&) = delete;

  int size() const { return size_; }
  const NodePtr& operator[](int i) const { return data()[i]; }
  void push_back(NodePtr node);
  void clear();

 private:
  const NodePtr* data() const { return more_ ? more_->data() : inline_; }
  NodePtr inline_[4];
  int size_ = 0;
  std::unique_ptr<std::vector<NodePtr>> more_;
};

// From the cotangent of a node's value to those of its inputs.
class PullbackBase : public RefCounted<PullbackBase>,
                     public PooledNew<PullbackBase> {
 public:
  PullbackBase() = default;
  virtual ~PullbackBase();
  virtual void run(PullbackContext& context) = 0;
  // The other way: the tangent of the value from those of the inputs. False:
  // there is no rule for that.
  virtual bool push(PushContext& context);
  // Of one of several values of a node, which its only edge leads to: which
  // one; else -1.
  virtual int joint_value() const { return -1; }
  // Whether a cotangent that is pending goes into the pullback's own launch.
  virtual bool inlines_cotangent() const { return false; }
  // Of the arrays that it keeps.
  virtual std::size_t saved_bytes() const { return 0; }

  // In anomaly mode, when run() with this cotangent made a NaN or infinity: an
  // error that names the operation inside, if there are several.
  virtual void blame(const Node& /*node*/, const TrackedTensor& /*cotangent*/) {
  }

  // Adds an input (nullptr: a constant); as long as the pullback lives, it
  // leads to `node`.
  void add_edge(NodePtr node);
  const Edges& edges() const { return edges_; }

 private:
  Edges edges_;
};
using PullbackPtr = IntrusivePtr<PullbackBase>;

class Node : public RefCounted<Node>, public PooledNew<Node> {
 public:
  Node(std::uint64_t id, const char* name, CallSite site, const Shape& shape,
       DType dtype, Stream stream)
      : id(id),
        name(name),
        site(site),
        shape(shape),
        dtype(dtype),
        device(stream.device()),
        stream(stream) {}
  // A node that was given up: of a value that was recorded once.
  static IntrusivePtr<Node> given_up(const char* name, CallSite site,
                                     const Shape& shape, DType dtype,
                                     Stream stream);
  ~Node();

  void release() const noexcept {
    if (drop()) LateDestruction<Node>::destroy(this);
  }

  // Before anybody else sees the node. Without a pullback there are no inputs.
  void set_pullback(PullbackPtr pullback) { pullback_ = std::move(pullback); }
  // The same; from now on the pullback may be replaced at any time.
  void set_recut(Recut& recut);
  // The pullback and the inputs, as they are now. For who has entered.
  PullbackPtr pullback() const;
  // Before a walk that is recorded: see Recut::write_inside.
  void write_inside();

  // A walk holds the nodes that it collected, so that no other walk (on another
  // thread, or inside a hook) gives them up meanwhile. Each enter(), whatever
  // it returns, is followed by one leave(). False if it was given up before.
  bool enter() {
    return consumers.fetch_add(1, std::memory_order_acq_rel) >= 0;
  }
  // Gives up pullback and edges if `frees` and nothing leads here any more.
  void leave(bool frees);
  // Whether it was given up.
  bool is_given_up() const {
    return consumers.load(std::memory_order_acquire) < kGivenUp / 2;
  }

  const std::uint64_t id;
  const char* const name;
  const CallSite site;
  const Shape shape;
  const DType dtype;
  const Device device;
  const Stream stream;  // of the value; the pullback runs there

  bool leaf = false;
  // Pullbacks whose edges, pending values whose operands, and walks whose slots
  // lead here; far below 0 once it was given up.
  std::atomic<std::int32_t> consumers{0};

  // What few nodes have: leaves, and values with hooks or a kept gradient.
  struct Extras {
    std::mutex mutex;
    Tensor grad;
    bool retain_grad = false;
    std::vector<std::function<TrackedTensor(const TrackedTensor&)>> hooks;
  };
  Extras& extras();
  Extras* find_extras() const {
    return extras_.load(std::memory_order_acquire);
  }

 private:
  friend class LateDestruction<Node>;
  friend class Recut;
  mutable const Node* next_dead_ = nullptr;
  static constexpr std::int32_t kGivenUp = -(1 << 30);
  void give_up();
  PullbackPtr pullback_;  // guarded by the recut, if there is one
  Recut* recut_ = nullptr;
  std::atomic<Extras*> extras_{nullptr};
};

// The next call's number; they rise over the life of the process.
std::uint64_t next_id();

}  // namespace jacquard::tape
