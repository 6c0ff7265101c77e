#include "core/backend/launch_list.h"

#include <cstring>
#include <utility>

#include "core/backend/launch.h"

namespace jacquard::backend {
namespace {

__attribute__((tls_model(
    "initial-exec"))) constinit thread_local LaunchList* current = nullptr;

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

}  // namespace

LaunchList::LaunchList() : arena_(std::make_shared<Arena>()) {}
LaunchList::~LaunchList() { arena_->retire(); }

LaunchList* LaunchList::recording() { return current; }
LaunchList::Recording::Recording(LaunchList& list)
    : before_(std::exchange(current, current ? current : &list)),
      memory_(current->arena_.get()) {}
LaunchList::Recording::~Recording() { current = before_; }

int LaunchList::declare(const void* data, std::size_t bytes) {
  const auto* at = static_cast<const char*>(data);
  memories_.push_back({at, bytes, at, false, {}});
  return static_cast<int>(memories_.size()) - 1;
}

void LaunchList::place(int memory, const void* data) {
  Memory& m = memories_[index(memory)];
  const auto* to = static_cast<const char*>(data);
  if (to == m.now) return;
  for (void* pointer : m.pointers) {
    const char* at;
    std::memcpy(&at, pointer, sizeof at);
    at = to + (at - m.now);
    std::memcpy(pointer, &at, sizeof at);
  }
  m.now = to;
}

void LaunchList::fail(std::string why) {
  if (failure_.empty()) failure_ = std::move(why);
}

void LaunchList::take_down(const char* op, void* pointer, bool writes) {
  const char* at;
  std::memcpy(&at, pointer, sizeof at);
  if (!at) return;
  for (Memory& m : memories_) {
    if (at < m.data || at > m.data + m.bytes) continue;
    if (at == m.data + m.bytes && m.bytes > 0) continue;
    m.pointers.push_back(pointer);
    m.written = m.written || writes;
    return;
  }
  if (!arena_->holds(at))
    fail(std::string(op) + (writes ? " writes" : " reads") +
         " memory that was not made here");
}

void LaunchList::add_programs(const char* op,
                              std::span<const ProgramLaunch> work, bool list,
                              Stream stream) {
  Programs& all = std::get<Programs>(
      entries_.emplace_back(Entry{op, stream, Programs{{}, {}, list}}).work);
  all.named.reserve(work.size());
  for (const ProgramLaunch& w : work) {
    Named& n =
        all.named.emplace_back(Named{{w.leaves.begin(), w.leaves.end()},
                                     {w.slots.begin(), w.slots.end()},
                                     {w.outputs.begin(), w.outputs.end()}});
    all.work.push_back({w.program, w.space, n.leaves, n.slots, n.outputs});
    for (Binding& b : n.leaves) take_down(op, &b.data, false);
    for (OutputBinding& b : n.outputs) take_down(op, &b.data, true);
    for (Scalar& s : n.slots)
      if (s.origin) slots_.push_back({&s, s.origin});
  }
}

void LaunchList::add(const char* op, const ProgramLaunch& work, Stream stream) {
  add_programs(op, {&work, 1}, false, stream);
}

void LaunchList::add_list(const char* op, std::span<const ProgramLaunch> work,
                          Stream stream) {
  add_programs(op, work, true, stream);
}

void LaunchList::add_matmul(const char* op, const MatmulLaunch& work,
                            Stream stream) {
  MatmulLaunch& w =
      std::get<Matmul>(
          entries_.emplace_back(Entry{op, stream, Matmul{work}}).work)
          .work;
  take_down(op, &w.a.data, false);
  take_down(op, &w.b.data, false);
  take_down(op, &w.bias, false);
  take_down(op, &w.c, true);
}

void LaunchList::add_index(IndexFunction again, const IndexLaunch& work,
                           Stream stream) {
  IndexLaunch& w =
      std::get<Index>(
          entries_.emplace_back(Entry{work.op, stream, Index{work, again}})
              .work)
          .work;
  take_down(w.op, &w.index, false);
  take_down(w.op, &w.source, false);
  take_down(w.op, &w.target, true);
}

void LaunchList::add_scan(const ScanLaunch& work, Stream stream) {
  ScanLaunch& w =
      std::get<Scan>(
          entries_.emplace_back(Entry{work.op, stream, Scan{work}}).work)
          .work;
  take_down(w.op, &w.a, false);
  take_down(w.op, &w.b, false);
  take_down(w.op, &w.out, true);
}

void LaunchList::add_sort(const SortLaunch& work, Stream stream) {
  SortLaunch& w =
      std::get<Sort>(
          entries_.emplace_back(Entry{work.op, stream, Sort{work}}).work)
          .work;
  take_down(w.op, &w.keys, false);
  take_down(w.op, &w.positions, true);
}

void LaunchList::add_raw(const RawLaunch& work, Stream stream) {
  Raw& raw = std::get<Raw>(
      entries_
          .emplace_back(Entry{work.code->name, stream,
                              Raw{{work.inputs.begin(), work.inputs.end()},
                                  {work.outputs.begin(), work.outputs.end()},
                                  {work.scalars.begin(), work.scalars.end()},
                                  work}})
          .work);
  raw.work.inputs = raw.inputs;
  raw.work.outputs = raw.outputs;
  raw.work.scalars = raw.scalars;
  for (RawArray& a : raw.inputs) take_down(work.code->name, &a.data, false);
  for (RawArray& a : raw.outputs) take_down(work.code->name, &a.data, true);
}

void LaunchList::add_copy(const char* op, void* to, const void* from,
                          std::size_t bytes, Stream stream) {
  Copy& w = std::get<Copy>(
      entries_.emplace_back(Entry{op, stream, Copy{to, from, bytes}}).work);
  take_down(op, &w.from, false);
  take_down(op, &w.to, true);
}

void LaunchList::add_upload(const char* op, void* to, const void* from_host,
                            std::size_t bytes, Stream stream) {
  const auto* first = static_cast<const std::byte*>(from_host);
  Upload& w = std::get<Upload>(
      entries_
          .emplace_back(Entry{op, stream, Upload{to, {first, first + bytes}}})
          .work);
  take_down(op, &w.to, true);
}

void LaunchList::add_order(Stream after, Stream before) {
  entries_.emplace_back(Entry{"order", after, Order{before}});
}

void LaunchList::launch_all() const {
  for (const Entry& e : entries_) {
    std::visit(
        Overloaded{
            [&](const Programs& p) {
              if (p.list)
                launch_list(e.op, p.work, e.stream);
              else
                launch(e.op, p.work[0], e.stream);
            },
            [&](const Matmul& m) { launch_matmul(e.op, m.work, e.stream); },
            [&](const Index& i) { i.again(i.work, e.stream); },
            [&](const Scan& s) { launch_scan(s.work, e.stream); },
            [&](const Sort& s) { launch_sort(s.work, e.stream); },
            [&](const Raw& r) { launch_raw(r.work, e.stream); },
            [&](const Copy& c) { copy(e.op, c.to, c.from, c.bytes, e.stream); },
            [&](const Upload& u) {
              upload(e.op, u.to, u.contents.data(), u.contents.size(),
                     e.stream);
            },
            [&](const Order& o) { order(e.stream, o.before); },
        },
        e.work);
  }
}

void LaunchList::run(std::span<const Scalar> scalars) {
  for (const SlotUse& s : slots_) s.slot->i = scalars[s.origin - 1].i;
  launch_all();
}

std::unique_ptr<LaunchGraph> LaunchList::make_graph(std::size_t scalars,
                                                    Stream stream) {
  return backend_of(stream.device().type)
      .make_graph([this] { launch_all(); }, scalars, stream);
}

}  // namespace jacquard::backend
