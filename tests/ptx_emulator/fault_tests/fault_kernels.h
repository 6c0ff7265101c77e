// Programs with one fault each, and legal ones that look similar. Each runs on
// the device and waits for it; main programs of their own, as it were.
#pragma once

namespace ptx_emulator {

// memory_faults.cu
void write_past_the_end();
void read_before_the_start();
void vector_load_across_the_end();
void misaligned_vector_load();
void write_after_free();
void null_pointer();
void host_pointer();
void read_of_unwritten_memory();
void read_of_a_copy_of_unwritten_memory();
void atomic_on_unwritten_memory();
void copy_past_the_end();
void fill_past_the_end();
void host_reads_device_memory();
void write_to_a_freed_block_of_a_pool();
void read_of_a_reused_block_of_a_pool();
void write_past_a_block_of_a_pool();
void local_index_out_of_bounds();
void read_of_unwritten_local_memory();
void legal_global_memory();
void legal_pinned_memory();
void legal_local_memory();
void legal_pool();

// block_faults.cu
void shared_index_out_of_bounds();
void read_of_unwritten_shared_memory();
void read_before_the_barrier();
void write_before_the_barrier();
void shared_atomic_without_barrier();
void barrier_in_a_branch();
void barrier_that_some_warps_miss();
void shuffle_with_lanes_missing();
void failed_assertion();
void trap();
void legal_reductions();
void legal_transpose();
void legal_flags_of_warps();
void legal_bytes_of_warps();
void legal_shared_histogram();

// stream_faults.cu
void read_without_an_event();
void write_over_a_reader_of_another_stream();
void event_recorded_too_early();
void copy_without_synchronization();
void legal_streams();
void legal_atomics_of_streams();

// The status of the device after the work given to it.
bool device_is_well();

}  // namespace ptx_emulator
