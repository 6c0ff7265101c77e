#include "execute/fault.h"

namespace ptx_emulator {
namespace {

std::string triple(const std::array<unsigned, 3>& values) {
  return "(" + std::to_string(values[0]) + "," + std::to_string(values[1]) +
         "," + std::to_string(values[2]) + ")";
}

std::string sentence(const std::string& problem, const Fault::Place& place) {
  std::string text = problem + ": kernel " + place.kernel;
  if (place.function != place.kernel) text += ", function " + place.function;
  text += ", PTX line " + std::to_string(place.ptx_line);
  if (!place.instruction.empty()) text += " [" + place.instruction + "]";
  if (!place.source.empty()) text += ", " + place.source;
  return text + ", block " + triple(place.block) + " thread " +
         triple(place.thread);
}

}  // namespace

Fault::Fault(FaultKind kind, const std::string& problem, Place place)
    : std::runtime_error(sentence(problem, place)),
      kind_(kind),
      problem_(problem),
      place_(std::move(place)) {}

}  // namespace ptx_emulator
