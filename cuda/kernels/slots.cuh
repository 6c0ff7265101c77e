// Scattering as its kernels see it: `slots`, each one a row of values with one
// index, go to rows that are told apart by `keys`; source is
// repeats × slots × row, target repeats × keys × row.
//
// Where an index differs along inner, a row is one element and the inner
// position is part of the slot and of the key; where it differs along outer,
// the outer position is as well, and repeats is 1. Slots with one key ascend
// with j.
#pragma once

#include <cstdint>

#include "core/backend/backend.h"
#include "cuda/kernels/index_position.cuh"
#include "cuda/runtime/stream.h"

namespace jacquard::cuda_backend {

struct Slots {
  const std::int64_t* index;
  std::int64_t strides[3];
  std::int64_t extent, count, inner;  // inner: 1 if a slot is a whole row
  std::int64_t slots, keys, row, repeats;
  IndexCheck check;

  // A slot's place in its list, the slots that could have the same key.
  struct Place {
    const std::int64_t* list;  // indices at list[j · strides[1]]
    std::int64_t j;
    std::int64_t position;  // on the axis; -1: out of range
    std::int64_t key;
  };
  __device__ Place place(std::int64_t slot) const {
    const std::int64_t r = slot / inner, i = slot - r * inner;
    const std::int64_t o = r / count, j = r - o * count;
    Place p{index + o * strides[0] + i * strides[2], j, 0, 0};
    p.position = ::jacquard::cuda_backend::position(p.list[j * strides[1]],
                                                    extent, check);
    p.key = (o * extent + p.position) * inner + i;
    return p;
  }
  // Whether slot j of the list of p has its key.
  __device__ bool same(const Place& p, std::int64_t j) const {
    const std::int64_t at = p.list[j * strides[1]];
    return at == p.position || at == p.position - extent;
  }
};

// `row` counts elements.
inline Slots slots_of(const backend::IndexLaunch& l, Stream stream) {
  const bool by_outer = l.outer > 1 && l.index_strides[0] != 0;
  const bool by_inner = l.inner > 1 && l.index_strides[2] != 0;
  Slots s{};
  s.index = l.index;
  s.strides[0] = by_outer ? l.index_strides[0] : 0;
  s.strides[1] = l.index_strides[1];
  s.strides[2] = by_inner ? l.index_strides[2] : 0;
  s.extent = l.extent;
  s.count = l.count;
  s.inner = by_inner ? l.inner : 1;
  const std::int64_t lists = (by_outer ? l.outer : 1) * s.inner;
  s.slots = lists * l.count;
  s.keys = lists * l.extent;
  s.row = l.inner / s.inner;
  s.repeats = by_outer ? 1 : l.outer;
  s.check = index_check(l.op, l.extent, stream);
  return s;
}

// Whether each thread may look for the slots with its key itself: cheaper than
// a sort for short lists, and for longer ones if that is little work in all.
inline bool is_direct(const Slots& s, std::int64_t accesses_of_a_row) {
  constexpr std::int64_t kShort = 16, kLonger = 256, kLooks = 1 << 24;
  return s.count <= kShort ||
         (s.count <= kLonger &&
          s.repeats * s.slots * accesses_of_a_row <= kLooks / s.count);
}

}  // namespace jacquard::cuda_backend
