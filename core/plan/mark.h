// How the plans of compiled functions and the values of the tape know each
// other.
#pragma once

#include "core/tape/value.h"

namespace jacquard::plan {

// What a plan that is being made knows a value by. A value that dies leaves its
// mark empty, so that the plan holds none of them.
struct Mark {
  Mark(const void* plan, int item) : plan(plan), item(item) {}
  const void* const plan;
  const int item;
  tape::Value* value = nullptr;

  // Of the plan, if it has one there.
  static const Mark* of(const tape::Value& value, const void* plan);
  void put_on(tape::Value& v);
  // Takes the mark off; the value, unless it is dead or dying.
  tape::ValuePtr take_off();
  static void forget(tape::Value& value);
};

// Computes the value behind a stand-in: the compiled call goes on uncompiled.
// GraphError if it isn't this thread's call, or is over (it threw).
void settle(tape::Value& stand_in);

// Before the gradient of a node is read or changed: the plan that is being made
// on this thread, if any, takes down what it was.
void touch_gradient(tape::Node& node);

}  // namespace jacquard::plan
