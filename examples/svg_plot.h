// A small picture of curves: panels side by side, written as SVG.
#pragma once

#include <string>
#include <vector>

namespace plot {

struct Curve {
  std::string name;
  std::vector<double> values;  // one an epoch, from epoch 1
};

struct Panel {
  std::string title;
  std::vector<Curve> curves;  // at most four
};

// Throws std::runtime_error if the file can't be written.
void write_svg(const std::string& file, const std::vector<Panel>& panels);

}  // namespace plot
