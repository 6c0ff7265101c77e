// Launches that were recorded, to be run again.
//
// While a recording is open on a thread, each launch, copy and order of streams
// that core makes there (core/backend/launch.cpp) is executed and taken down
// with all that it names. What it names must be known: memory of the list's
// arena, in which everything allocated meanwhile lies, or external memory that
// was declared before. The list then runs without the tensors and values it was
// made from: with other host scalars (slots find theirs by Literal::origin) and
// with external memory elsewhere. What the device is told to read back is not
// recorded: such a list can't be run again.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "core/backend/arena.h"
#include "core/backend/backend.h"

namespace jacquard::backend {

class JACQUARD_API LaunchList {
 public:
  LaunchList();
  ~LaunchList();  // retires the arena
  LaunchList(const LaunchList&) = delete;
  LaunchList& operator=(const LaunchList&) = delete;

  // Takes down what this thread launches and allocates, for as long as it
  // lives. Recordings don't nest: the inner one is that of the outer.
  class Recording {
   public:
    explicit Recording(LaunchList& list);
    ~Recording();
    Recording(const Recording&) = delete;
    Recording& operator=(const Recording&) = delete;

   private:
    LaunchList* before_;
    Arena::Use memory_;
  };
  // That of this thread, or nullptr.
  static LaunchList* recording();

  // External memory that launches may name from now on; returns its number. Of
  // overlapping ranges the first is meant.
  int declare(const void* data, std::size_t bytes);
  // Where the memory is at the next run.
  void place(int memory, const void* data);
  // Whether a launch that was taken down names it, or writes to it.
  bool names(int memory) const {
    return !memories_[index(memory)].pointers.empty();
  }
  bool writes(int memory) const { return memories_[index(memory)].written; }

  // Empty, or why what was recorded can't be run again.
  const std::string& failure() const { return failure_; }

  // Runs all of it in order, with scalar k for the slots whose origin is k + 1.
  // What a launch throws passes through; those before it have run.
  void run(std::span<const Scalar> scalars);
  // As one object of the device, if it has such: see Backend::make_graph. Made
  // for the places that the memories have now.
  std::unique_ptr<LaunchGraph> make_graph(std::size_t scalars, Stream stream);

  std::size_t size() const { return entries_.size(); }
  const Arena& arena() const { return *arena_; }

  // For launch.cpp: what was launched just now.
  void add(const char* op, const ProgramLaunch& work, Stream stream);
  void add_list(const char* op, std::span<const ProgramLaunch> work,
                Stream stream);
  void add_matmul(const char* op, const MatmulLaunch& work, Stream stream);
  using IndexFunction = void (*)(const IndexLaunch&, Stream);
  void add_index(IndexFunction again, const IndexLaunch& work, Stream stream);
  void add_scan(const ScanLaunch& work, Stream stream);
  void add_sort(const SortLaunch& work, Stream stream);
  void add_raw(const RawLaunch& work, Stream stream);
  void add_copy(const char* op, void* to, const void* from, std::size_t bytes,
                Stream stream);
  void add_order(Stream after, Stream before);
  // Runs again with the same contents.
  void add_upload(const char* op, void* to, const void* from_host,
                  std::size_t bytes, Stream stream);
  void fail(std::string why);

 private:
  // What a launch of a program names.
  struct Named {
    std::vector<Binding> leaves;
    std::vector<Scalar> slots;
    std::vector<OutputBinding> outputs;
  };
  // One program, or a list.
  struct Programs {
    std::vector<Named> named;
    std::vector<ProgramLaunch> work;  // over `named`
    bool list;
  };
  struct Matmul {
    MatmulLaunch work;
  };
  struct Index {
    IndexLaunch work;
    IndexFunction again;
  };
  struct Scan {
    ScanLaunch work;
  };
  struct Sort {
    SortLaunch work;
  };
  struct Raw {
    std::vector<RawArray> inputs, outputs;
    std::vector<RawScalar> scalars;
    RawLaunch work;  // over these
  };
  struct Copy {
    void* to;
    const void* from;
    std::size_t bytes;
  };
  struct Upload {
    void* to;
    std::vector<std::byte> contents;
  };
  struct Order {
    Stream before;
  };
  struct Entry {
    const char* op;
    Stream stream;
    std::variant<Programs, Matmul, Index, Scan, Sort, Raw, Copy, Upload, Order>
        work;
  };
  struct Memory {
    const char* data;  // as recorded
    std::size_t bytes;
    const char* now;
    bool written = false;
    // Where entries hold pointers into it.
    std::vector<void*> pointers;
  };
  struct SlotUse {
    Scalar* slot;
    std::uint32_t origin;
  };

  static std::size_t index(int i) { return static_cast<std::size_t>(i); }
  void add_programs(const char* op, std::span<const ProgramLaunch> work,
                    bool list, Stream stream);
  // `pointer`: the address of a pointer that stays where it is.
  void take_down(const char* op, void* pointer, bool writes);
  void launch_all() const;

  std::shared_ptr<Arena> arena_;
  std::deque<Entry> entries_;  // never moved
  std::vector<Memory> memories_;
  std::vector<SlotUse> slots_;
  std::string failure_;
};

}  // namespace jacquard::backend
