#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "core/tensor/host_scalar.h"
#include "jacquard/tensor.h"

namespace jacquard {
namespace {

constexpr std::int64_t kThreshold = 1000;  // more elements are summarised
constexpr std::int64_t kEdge = 3;          // elements shown at each edge
constexpr std::size_t kLineWidth = 80;
constexpr int kDigits = 4;

// Bounds of the magnitudes that are written without an exponent.
constexpr double kSmallest = 1e-4;
constexpr double kLargest = 1e6;
constexpr double kLargestWhole = 1e8;

// The extents that are shown.
Shape shown_shape(const Tensor& tensor) {
  Shape shown = tensor.shape();
  if (tensor.numel() <= kThreshold) return shown;
  for (std::int64_t& extent : shown) extent = std::min(extent, 2 * kEdge);
  return shown;
}

// Appends the bytes of the shown elements, row-major. An axis that is cut is
// read as two, [2, kEdge], the first of which strides from edge to edge.
void read_shown(const Tensor& tensor, const Shape& shown,
                std::vector<unsigned char>& bytes) {
  const Shape& shape = tensor.shape();
  const Strides& strides = tensor.strides();
  int cuts = 0;
  for (int i = 0; i < shape.rank(); ++i) cuts += shown[i] < shape[i] ? 1 : 0;

  if (shape.rank() + cuts > kMaxRank) {
    Shape rest = shape;
    Strides rest_strides = strides;
    Shape rest_shown = shown;
    rest.erase(0);
    rest_strides.erase(0);
    rest_shown.erase(0);
    for (std::int64_t i = 0; i < shown[0]; ++i) {
      const bool at_end = shown[0] < shape[0] && i >= kEdge;
      const std::int64_t place = at_end ? shape[0] - 2 * kEdge + i : i;
      read_shown(tensor.view(rest, rest_strides, place * strides[0]),
                 rest_shown, bytes);
    }
    return;
  }

  Shape edges;
  Strides edge_strides;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shown[i] < shape[i]) {
      edges.push_back(2);
      edge_strides.push_back((shape[i] - kEdge) * strides[i]);
      edges.push_back(kEdge);
    } else {
      edges.push_back(shape[i]);
    }
    edge_strides.push_back(strides[i]);
  }
  const Tensor view = tensor.view(edges, edge_strides, 0);
  const std::size_t old_size = bytes.size();
  bytes.resize(old_size + view.bytes());
  view.copy_to_host(bytes.data() + old_size, view.dtype());
}

std::string formatted(const char* format, int digits, double x) {
  char text[64];
  std::snprintf(text, sizeof text, format, digits, x);
  return text;
}

// The value to kDigits significant digits without trailing zeros: "1.5", "2.".
std::string fixed(double x) {
  if (std::isnan(x)) return "nan";
  if (std::isinf(x)) return x > 0 ? "inf" : "-inf";
  int decimals = 0;
  if (x != 0) {
    const std::string text = formatted("%.*e", kDigits - 1, x);
    const int exponent = std::atoi(text.c_str() + text.find('e') + 1);
    decimals = std::max(0, kDigits - 1 - exponent);
  }
  std::string text = formatted("%#.*f", decimals, x);
  text.erase(text.find_last_not_of('0') + 1);
  return text;
}

// The columns line up on the point; NaN and Inf are flush right.
std::vector<std::string> align_points(const std::vector<double>& values) {
  std::vector<std::string> cells;
  std::size_t after = 0;
  for (const double x : values) {
    cells.push_back(fixed(x));
    const std::size_t point = cells.back().find('.');
    if (point != std::string::npos)
      after = std::max(after, cells.back().size() - point);
  }
  for (std::string& cell : cells) {
    const std::size_t point = cell.find('.');
    if (point != std::string::npos)
      cell.append(after - (cell.size() - point), ' ');
  }
  return cells;
}

std::vector<std::string> float_cells(const std::vector<double>& values) {
  double smallest = INFINITY;
  double largest = 0;
  bool whole = true;
  for (const double x : values) {
    if (!std::isfinite(x) || x == 0) continue;
    smallest = std::min(smallest, std::abs(x));
    largest = std::max(largest, std::abs(x));
    whole = whole && x == std::trunc(x);
  }
  if (smallest >= kSmallest && largest < (whole ? kLargestWhole : kLargest))
    return align_points(values);
  std::vector<std::string> cells;
  for (const double x : values)
    cells.push_back(std::isfinite(x) ? formatted("%.*e", kDigits - 1, x)
                                     : fixed(x));
  return cells;
}

// One text for each element, all of one width.
std::vector<std::string> cells_of(const std::vector<unsigned char>& bytes,
                                  DType dtype) {
  std::vector<std::string> cells;
  std::vector<double> values;
  for (std::size_t at = 0; at < bytes.size(); at += size_of(dtype)) {
    const HostScalar value = read_scalar(bytes.data() + at, dtype);
    if (!value.integral)
      values.push_back(value.f);
    else if (dtype == DType::bool_)
      cells.emplace_back(value.i != 0 ? "true" : "false");
    else
      cells.push_back(std::to_string(value.i));
  }
  if (is_floating(dtype)) cells = float_cells(values);
  std::size_t width = 0;
  for (const std::string& cell : cells) width = std::max(width, cell.size());
  for (std::string& cell : cells) cell.insert(0, width - cell.size(), ' ');
  return cells;
}

class Printer {
 public:
  Printer(const Shape& shape, const Shape& shown,
          std::vector<std::string> cells)
      : shape_(shape), shown_(shown), cells_(std::move(cells)) {}

  std::string print() {
    if (shape_.rank() == 0) return cells_[0];
    print_axis(0);
    return std::move(text_);
  }

 private:
  bool cut_before(int axis, std::int64_t i) const {
    return shown_[axis] < shape_[axis] && i == kEdge;
  }

  void print_axis(int axis) {
    text_ += '[';
    if (axis + 1 == shape_.rank()) {
      print_row(axis);
    } else {
      // NumPy's blank lines: one more for each axis that ends.
      const int lines = shape_.rank() - axis - 1;
      const std::string separator =
          std::string(static_cast<std::size_t>(lines), '\n') +
          std::string(static_cast<std::size_t>(axis) + 1, ' ');
      for (std::int64_t i = 0; i < shown_[axis]; ++i) {
        if (i > 0) text_ += ',' + separator;
        if (cut_before(axis, i)) text_ += "…," + separator;
        print_axis(axis + 1);
      }
    }
    text_ += ']';
  }

  void print_row(int axis) {
    const auto indent = static_cast<std::size_t>(axis) + 1;
    std::size_t column = indent;
    const auto put = [&](const std::string& cell, std::size_t width,
                         bool last) {
      // With its comma, or the brackets that close all axes.
      if (column > indent &&
          column + width + (last ? indent : 1) > kLineWidth) {
        text_.back() = '\n';
        text_.append(indent, ' ');
        column = indent;
      }
      text_ += cell;
      if (!last) text_ += ", ";
      column += width + 2;
    };
    for (std::int64_t i = 0; i < shown_[axis]; ++i) {
      if (cut_before(axis, i)) put("…", 1, false);
      const std::string& cell = cells_[next_++];
      put(cell, cell.size(), i + 1 == shown_[axis]);
    }
  }

  const Shape& shape_;
  const Shape& shown_;
  std::vector<std::string> cells_;
  std::size_t next_ = 0;
  std::string text_;
};

}  // namespace

std::string to_string(const Tensor& tensor) {
  if (!tensor.defined()) return "undefined";
  std::string text = "[]";
  if (tensor.numel() != 0) {
    const Shape shown = shown_shape(tensor);
    std::vector<unsigned char> bytes;
    read_shown(tensor, shown, bytes);
    text =
        Printer(tensor.shape(), shown, cells_of(bytes, tensor.dtype())).print();
  }
  text += text.find('\n') == std::string::npos ? ' ' : '\n';
  return text + std::string(name_of(tensor.dtype())) +
         to_string(tensor.shape()) + " " + to_string(tensor.device());
}

}  // namespace jacquard
