// The emulator's own interface (inspect.h, memory/ptx_emulator.h), and what it
// prints at exit.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "memory/counters.h"
#include "memory/device_memory.h"
#include "memory/ptx_emulator.h"
#include "runtime/configuration.h"
#include "runtime/inspect.h"
#include "runtime/library_support.h"
#include "runtime/status.h"
#include "runtime/streams.h"

namespace ptx_emulator {
namespace {

static_assert(kInstructionClasses <= 16);

void write_escaped(std::ostream& out, const std::string& text) {
  out << '"';
  for (const char c : text) {
    if (c == '"' || c == '\\')
      out << '\\' << c;
    else
      out << (static_cast<unsigned char>(c) < 0x20 ? ' ' : c);
  }
  out << '"';
}

void write_report(std::ostream& out) {
  const char* separator = "";
  out << "{\"calls\": {";
  for (const auto& [name, calls] : counted_calls()) {
    out << separator;
    write_escaped(out, name);
    out << ": " << calls;
    separator = ", ";
  }
  separator = "";
  out << "},\n\"faults\": [";
  for (const FaultReport& fault : fault_reports()) {
    out << separator;
    write_escaped(out, fault.message);
    separator = ", ";
  }
  out << "],\n\"table\": ";
  LaunchTable::instance().write_json(out);
  out << "}\n";
}

void report_at_exit() {
  if (configuration().print_table) LaunchTable::instance().print(std::cerr);
  if (configuration().report_path.empty()) return;
  std::ofstream out(configuration().report_path);
  write_report(out);
}

[[maybe_unused]] const bool reports_at_exit = [] {
  if (!configuration().print_table && configuration().report_path.empty())
    return false;
  LaunchTable::instance();  // lives longer than what is registered after it
  return std::atexit(report_at_exit) == 0;
}();

// What ptx_emulator_get_launch describes.
thread_local std::vector<LaunchRecord> launch_snapshot;

int mark(const void* pointer, std::size_t bytes, void* stream_handle,
         bool (DeviceMemory::*change)(Address, std::size_t), const char* name) {
  if (configuration().null_mode) return 0;
  const auto address = reinterpret_cast<Address>(pointer);
  Streams& streams = Streams::instance();
  Stream* stream = streams.find(static_cast<cudaStream_t>(stream_handle));
  if (stream == nullptr || !DeviceMemory::instance().is_device_address(address))
    return 1;
  const cudaError_t status = streams.enqueue(
      *stream, {cudaGraphNodeTypeEmpty, name, [=] {
                  if ((DeviceMemory::instance().*change)(address, bytes))
                    return;
                  std::fprintf(stderr,
                               "ptx_emulator: %s(%p, %zu): not inside one "
                               "live allocation\n",
                               name, pointer, bytes);
                }});
  return status == cudaSuccess ? 0 : 1;
}

}  // namespace
}  // namespace ptx_emulator

using namespace ptx_emulator;

#pragma GCC visibility push(default)
extern "C" {

int ptx_emulator_mark_allocated(const void* pointer, size_t bytes,
                                void* stream) {
  return mark(pointer, bytes, stream, &DeviceMemory::mark_allocated,
              "ptx_emulator_mark_allocated");
}

int ptx_emulator_mark_freed(const void* pointer, size_t bytes, void* stream) {
  return mark(pointer, bytes, stream, &DeviceMemory::mark_freed,
              "ptx_emulator_mark_freed");
}

unsigned long long ptx_emulator_calls(const char* name) {
  return call_counter(name).calls;
}

void ptx_emulator_visit_calls(void (*visit)(const char*, unsigned long long,
                                            void*),
                              void* data) {
  for (const auto& [name, calls] : counted_calls())
    visit(name.c_str(), calls, data);
}

size_t ptx_emulator_launch_count(void) {
  launch_snapshot = LaunchTable::instance().records();
  return launch_snapshot.size();
}

int ptx_emulator_get_launch(size_t index, ptx_emulator_launch* launch) {
  if (index >= launch_snapshot.size()) return 1;
  const LaunchRecord& record = launch_snapshot[index];
  const LaunchCounters& counters = record.counters;
  *launch = {};
  launch->kernel = record.kernel.c_str();
  std::copy(record.grid.begin(), record.grid.end(), launch->grid);
  std::copy(record.block.begin(), record.block.end(), launch->block);
  launch->shared_bytes = record.shared_bytes;
  launch->stream = record.stream;
  launch->threads = counters.threads;
  launch->warp_instructions = counters.warp_instructions;
  launch->barriers = counters.barriers;
  std::copy(counters.thread_instructions.begin(),
            counters.thread_instructions.end(), launch->instructions);
  launch->load_requests = counters.loads.requests;
  launch->load_bytes = counters.loads.bytes;
  launch->load_sectors = counters.loads.sectors;
  std::copy(counters.loads.bytes_by_width.begin(),
            counters.loads.bytes_by_width.end(), launch->load_bytes_by_width);
  launch->store_requests = counters.stores.requests;
  launch->store_bytes = counters.stores.bytes;
  launch->store_sectors = counters.stores.sectors;
  std::copy(counters.stores.bytes_by_width.begin(),
            counters.stores.bytes_by_width.end(), launch->store_bytes_by_width);
  launch->shared_requests = counters.shared.requests;
  launch->shared_bytes_moved = counters.shared.bytes;
  launch->shared_wavefronts = counters.shared.wavefronts;
  launch->shared_conflicts = counters.shared.conflicts;
  launch->parameters = record.parameters;
  return 0;
}

void ptx_emulator_reset_counters(void) {
  clear_counted_calls();
  LaunchTable::instance().clear();
}

size_t ptx_emulator_fault_count(void) { return fault_reports().size(); }

const char* ptx_emulator_last_fault(void) {
  thread_local std::string message;
  const auto reports = fault_reports();
  message = reports.empty() ? "" : reports.back().message;
  return message.c_str();
}

void ptx_emulator_clear_faults(void) {
  Scheduler& scheduler = Streams::instance().scheduler();
  if (broken_status() != cudaSuccess) scheduler.finish_device(-1);
  clear_faults();
  forget_last_error();
}

size_t ptx_emulator_pending(void) {
  return Streams::instance().scheduler().pending();
}

int ptx_emulator_is_null(void) { return configuration().null_mode ? 1 : 0; }

void ptx_emulator_count_call(const char* name) {
  call_counter(name).calls.fetch_add(1, std::memory_order_relaxed);
}

cudaError_t ptx_emulator_library_launch(cudaStream_t handle,
                                        const LibraryCall& call) {
  if (const cudaError_t status = admit()) return status;
  Streams& streams = Streams::instance();
  Stream* stream = streams.find(handle);
  if (stream == nullptr) return cudaErrorInvalidResourceHandle;
  return streams.enqueue(
      *stream,
      {cudaGraphNodeTypeKernel, call.name, [call, number = stream->number] {
         call.work();
         LaunchRecord record;
         record.kernel = call.name;
         record.stream = number;
         record.counters.loads.bytes = call.bytes_read;
         record.counters.loads.sectors = (call.bytes_read + 31) / 32;
         record.counters.stores.bytes = call.bytes_written;
         record.counters.stores.sectors = (call.bytes_written + 31) / 32;
         LaunchTable::instance().add(std::move(record));
       }});
}

std::byte* ptx_emulator_access_rows(Address address, std::size_t rows,
                                    std::size_t bytes, std::size_t pitch,
                                    AccessKind kind, const char* what) {
  return DeviceMemory::instance().access_rows(address, rows, bytes, pitch, kind,
                                              what);
}

}  // extern "C"
#pragma GCC visibility pop
