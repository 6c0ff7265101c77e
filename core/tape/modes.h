// Modes of the calling thread, and switches of the process.
#pragma once

namespace jacquard::tape {

// Whether operations are recorded. Returns the previous mode.
bool grad_enabled();
bool set_grad_enabled(bool on);

// Transforms that are open on this thread.
int level_depth();
void change_level_depth(int by);

}  // namespace jacquard::tape
