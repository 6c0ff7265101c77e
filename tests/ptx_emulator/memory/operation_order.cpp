#include "memory/operation_order.h"

#include <algorithm>

namespace ptx_emulator {
namespace {

void learn(std::vector<std::uint64_t>& known,
           const std::vector<std::uint64_t>& more) {
  if (known.size() < more.size()) known.resize(more.size());
  for (std::size_t i = 0; i < more.size(); ++i) {
    known[i] = std::max(known[i], more[i]);
  }
}

}  // namespace

OperationOrder& OperationOrder::instance() {
  static OperationOrder* order = new OperationOrder;
  return *order;
}

// The chain that the operation continues: it must know the chain's last step.
std::uint64_t OperationOrder::chain_after(
    const std::vector<PlacePtr>& after,
    const std::vector<std::uint64_t>& known) {
  const auto continues = [&](std::uint64_t chain) {
    return chain < known.size() && known[chain] == last_step_[chain];
  };
  for (const PlacePtr& place : after) {
    if (!place) continue;
    const std::uint64_t chain = place->id_ >> OperationPlace::kStepBits;
    if (continues(chain)) return chain;
  }
  for (std::uint64_t chain = 0; chain < last_step_.size(); ++chain) {
    if (continues(chain)) return chain;
  }
  last_step_.push_back(0);
  return last_step_.size() - 1;
}

PlacePtr OperationOrder::submit(const std::vector<PlacePtr>& after,
                                std::string name) {
  const std::scoped_lock lock(mutex_);
  auto place = std::make_shared<OperationPlace>();
  place->known_ = host_known_;
  for (const PlacePtr& before : after) {
    if (before) learn(place->known_, before->known_);
  }
  const std::uint64_t chain = chain_after(after, place->known_);
  const std::uint64_t step = ++last_step_[chain];
  if (place->known_.size() <= chain) place->known_.resize(chain + 1);
  place->known_[chain] = step;
  place->id_ = chain << OperationPlace::kStepBits | step;
  names_.emplace_back(place->id_, std::move(name));
  if (names_.size() > kMostNames) names_.pop_front();
  return place;
}

void OperationOrder::host_waited_for(const PlacePtr& place) {
  if (!place) return;
  const std::scoped_lock lock(mutex_);
  learn(host_known_, place->known_);
}

bool OperationOrder::is_concurrent() const {
  const std::scoped_lock lock(mutex_);
  return last_step_.size() > 1;
}

std::string OperationOrder::name_of(OperationId id) const {
  const std::scoped_lock lock(mutex_);
  const auto found =
      std::find_if(names_.begin(), names_.end(),
                   [id](const auto& entry) { return entry.first == id; });
  return found == names_.end() ? "an earlier operation" : found->second;
}

}  // namespace ptx_emulator
