// Which operations on the device come before which, as the program under test
// ordered them by streams, events and synchronisation: vector clocks over the
// graph of operations. What is not ordered here may overlap on a device, in
// whatever order it happens to run in the emulator.
//
// Thread safety: all functions may be called from several threads.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace ptx_emulator {

// Names an operation: a chain of operations each of which comes after the one
// before it, and the place in that chain. 0 is no operation.
using OperationId = std::uint64_t;

class OperationPlace {
 public:
  OperationId id() const { return id_; }
  // Whether the operation of that id is this one, or comes before it.
  bool comes_after(OperationId id) const {
    const std::uint64_t chain = id >> kStepBits;
    return chain < known_.size() ? known_[chain] >= (id & kStepMask) : id == 0;
  }

 private:
  friend class OperationOrder;
  static constexpr int kStepBits = 40;
  static constexpr std::uint64_t kStepMask =
      (std::uint64_t{1} << kStepBits) - 1;
  OperationId id_ = 0;
  std::vector<std::uint64_t> known_;  // the last step of each chain before it
};
using PlacePtr = std::shared_ptr<const OperationPlace>;

class OperationOrder {
 public:
  static OperationOrder& instance();

  // A new operation, after those of `after` (null pointers are allowed; those
  // that have run belong among them too) and after all that the host waited
  // for. `name` is for messages.
  PlacePtr submit(const std::vector<PlacePtr>& after, std::string name);
  // The host saw that the operation has ended.
  void host_waited_for(const PlacePtr& place);

  // More than one operation could ever run at a time.
  bool is_concurrent() const;
  // "kernel foo" as given to submit(); old names are forgotten.
  std::string name_of(OperationId id) const;

 private:
  static constexpr std::size_t kMostNames = 1 << 16;
  std::uint64_t chain_after(const std::vector<PlacePtr>& after,
                            const std::vector<std::uint64_t>& known);

  mutable std::mutex mutex_;
  std::vector<std::uint64_t> last_step_;   // of each chain
  std::vector<std::uint64_t> host_known_;  // what the host waited for
  std::deque<std::pair<OperationId, std::string>> names_;
};

}  // namespace ptx_emulator
