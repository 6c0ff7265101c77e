#include "core/tape/node.h"

#include "core/tape/recut.h"

namespace jacquard::tape {

void Edges::push_back(NodePtr node) {
  if (!more_ && size_ < 4) {
    inline_[size_++] = std::move(node);
    return;
  }
  if (!more_) {
    more_ = std::make_unique<std::vector<NodePtr>>();
    for (auto& n : inline_) more_->push_back(std::move(n));
  }
  more_->push_back(std::move(node));
  ++size_;
}

void Edges::clear() {
  for (auto& n : inline_) n = nullptr;
  more_.reset();
  size_ = 0;
}

PullbackBase::~PullbackBase() {
  for (int i = 0; i < edges_.size(); ++i)
    if (edges_[i]) edges_[i]->consumers.fetch_sub(1, std::memory_order_relaxed);
}

bool PullbackBase::push(PushContext&) { return false; }

void PullbackBase::add_edge(NodePtr node) {
  if (node) node->consumers.fetch_add(1, std::memory_order_relaxed);
  edges_.push_back(std::move(node));
}

Node::~Node() {
  if (recut_) {
    recut_->end();
    recut_->release();
  }
  delete extras_.load(std::memory_order_relaxed);
}

NodePtr Node::given_up(const char* name, CallSite site, const Shape& shape,
                       DType dtype, Stream stream) {
  auto node = make_intrusive<Node>(next_id(), name, site, shape, dtype, stream);
  node->consumers.store(kGivenUp, std::memory_order_relaxed);
  return node;
}

void Node::set_recut(Recut& recut) {
  recut.retain();
  recut_ = &recut;
}

PullbackPtr Node::pullback() const {
  if (!recut_) return pullback_;
  const std::lock_guard lock(recut_->mutex());
  return pullback_;
}

void Node::write_inside() {
  if (recut_) recut_->write_inside();
}

void Node::leave(bool frees) {
  // Without a pullback (leaves, arguments) there is nothing to give up.
  frees = frees && (recut_ || pullback_);
  std::int32_t left = consumers.fetch_sub(1, std::memory_order_acq_rel) - 1;
  if (!frees || left != 0) return;
  if (consumers.compare_exchange_strong(left, kGivenUp,
                                        std::memory_order_acq_rel))
    give_up();
}

void Node::give_up() {
  if (recut_) recut_->end();
  pullback_ = nullptr;
}

Node::Extras& Node::extras() {
  if (Extras* e = find_extras()) return *e;
  auto fresh = std::make_unique<Extras>();
  Extras* expected = nullptr;
  if (extras_.compare_exchange_strong(expected, fresh.get(),
                                      std::memory_order_acq_rel))
    return *fresh.release();
  return *expected;
}

std::uint64_t next_id() {
  static constinit std::atomic<std::uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace jacquard::tape
