#include "core/backend/launch.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "core/backend/launch_cost.h"
#include "core/backend/launch_list.h"
#include "core/backend/launch_logs.h"

namespace jacquard::backend {
namespace {

const char* kind_of(const pointwise::Program& program) {
  if (program.has_row_ops()) return "row";
  const auto outputs = program.outputs();
  const bool reduces =
      std::any_of(outputs.begin(), outputs.end(), [](const auto& output) {
        return output.reduction != pointwise::Reduction::store;
      });
  return reduces ? "map-reduce" : "map";
}

// Runs `work`; if this thread has a log, also records it.
template <class Work, class Kind, class Count>
void run_recorded(Kind kind, const char* op, Stream stream, Work work,
                  Count traffic) {
  if (!LaunchLogs::on()) [[likely]] {
    work();
    return;
  }
  using Clock = std::chrono::steady_clock;
  const bool timed = LaunchLogs::timed();
  if (timed) stream.synchronize();
  const auto start = Clock::now();
  work();
  LaunchRecord entry{.kind = kind(), .op = op, .stream = stream};
  if (timed) {
    stream.synchronize();
    entry.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  }
  const Traffic bytes = traffic();
  entry.bytes_read = bytes.read;
  entry.bytes_written = bytes.written;
  LaunchLogs::append(entry);
}

// Whether the program has more than backends are given.
bool is_for_reverse(const ProgramLaunch& work) {
  return &work.program->launched() != work.program;
}
ProgramLaunch launched(ProgramLaunch work) {
  work.program = &work.program->launched();
  return work;
}

Backend& backend_for(Stream stream) { return backend_of(stream.device().type); }

// What was launched, for the list that this thread records.
template <class Add>
void take_down(Add add) {
  if (LaunchList* list = LaunchList::recording()) [[unlikely]]
    add(*list);
}

}  // namespace

void launch(const char* op, const ProgramLaunch& work, Stream stream) {
  if (is_for_reverse(work)) return launch(op, launched(work), stream);
  run_recorded([&] { return kind_of(*work.program); }, op, stream,
               [&] { backend_for(stream).run(work, stream); },
               [&] { return traffic_of(work); });
  take_down([&](LaunchList& list) { list.add(op, work, stream); });
}

void launch_list(const char* op, std::span<const ProgramLaunch> work,
                 Stream stream) {
  if (work.empty()) return;
  if (is_for_reverse(work[0])) {
    std::vector<ProgramLaunch> all;
    for (const ProgramLaunch& w : work) all.push_back(launched(w));
    return launch_list(op, all, stream);
  }
  run_recorded([] { return "list"; }, op, stream,
               [&] { backend_for(stream).run_list(work, stream); },
               [&] { return traffic_of(work); });
  take_down([&](LaunchList& list) { list.add_list(op, work, stream); });
}

void launch_matmul(const char* op, const MatmulLaunch& work, Stream stream) {
  run_recorded([] { return "matmul"; }, op, stream,
               [&] { backend_for(stream).matmul(work, stream); },
               [&] { return traffic_of(work); });
  take_down([&](LaunchList& list) { list.add_matmul(op, work, stream); });
}

void launch_gather(const IndexLaunch& work, Stream stream) {
  run_recorded([] { return "gather"; }, work.op, stream,
               [&] { backend_for(stream).gather(work, stream); },
               [&] { return gather_traffic(work); });
  take_down(
      [&](LaunchList& list) { list.add_index(launch_gather, work, stream); });
}

void launch_scatter(const IndexLaunch& work, Stream stream) {
  run_recorded([] { return "scatter"; }, work.op, stream,
               [&] { backend_for(stream).scatter(work, stream); },
               [&] { return scatter_traffic(work, false); });
  take_down(
      [&](LaunchList& list) { list.add_index(launch_scatter, work, stream); });
}

void launch_scatter_add(const IndexLaunch& work, Stream stream) {
  run_recorded([] { return "scatter_add"; }, work.op, stream,
               [&] { backend_for(stream).scatter_add(work, stream); },
               [&] { return scatter_traffic(work, true); });
  take_down([&](LaunchList& list) {
    list.add_index(launch_scatter_add, work, stream);
  });
}

void launch_scan(const ScanLaunch& work, Stream stream) {
  run_recorded([] { return "scan"; }, work.op, stream,
               [&] { backend_for(stream).scan(work, stream); },
               [&] { return traffic_of(work); });
  take_down([&](LaunchList& list) { list.add_scan(work, stream); });
}

void launch_sort(const SortLaunch& work, Stream stream) {
  run_recorded([] { return "sort"; }, work.op, stream,
               [&] { backend_for(stream).sort(work, stream); },
               [&] { return traffic_of(work); });
  take_down([&](LaunchList& list) { list.add_sort(work, stream); });
}

void launch_raw(const RawLaunch& work, Stream stream) {
  run_recorded([] { return "raw"; }, work.code->name, stream,
               [&] { backend_for(stream).run_raw(work, stream); },
               [&] { return traffic_of(work); });
  take_down([&](LaunchList& list) { list.add_raw(work, stream); });
}

void order(Stream after, Stream before) {
  if (after == before) return;
  if (after.device().type == before.device().type)
    backend_for(after).order(after, before);
  else
    before.synchronize();
  take_down([&](LaunchList& list) { list.add_order(after, before); });
}

void copy(const char* op, void* to, const void* from, std::size_t bytes,
          Stream stream) {
  if (bytes == 0) return;
  run_recorded([] { return "copy"; }, op, stream,
               [&] { backend_for(stream).copy(to, from, bytes, stream); },
               [&] {
                 return Traffic{bytes, bytes};
               });
  take_down(
      [&](LaunchList& list) { list.add_copy(op, to, from, bytes, stream); });
}

void upload(const char* op, void* to, const void* from_host, std::size_t bytes,
            Stream stream) {
  if (bytes == 0) return;
  run_recorded(
      [] { return "upload"; }, op, stream,
      [&] { backend_for(stream).upload(to, from_host, bytes, stream); },
      [&] {
        return Traffic{0, bytes};
      });
  take_down([&](LaunchList& list) {
    list.add_upload(op, to, from_host, bytes, stream);
  });
}

void read_back(const char* op, void* to_host, const void* from,
               std::size_t bytes, Stream stream) {
  if (bytes == 0) return;
  run_recorded(
      [] { return "host-read"; }, op, stream,
      [&] { backend_for(stream).download(to_host, from, bytes, stream); },
      [&] {
        return Traffic{bytes, 0};
      });
  take_down([&](LaunchList& list) {
    list.fail(std::string(op) + " reads a value on the host");
  });
}

}  // namespace jacquard::backend
