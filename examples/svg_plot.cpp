#include "svg_plot.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <stdexcept>

namespace plot {
namespace {

constexpr double kWidth = 420, kHeight = 300;  // of one panel
constexpr double kLeft = 56, kRight = 16, kTop = 36, kBottom = 44;
constexpr const char* kColours[] = {"#1f6f8b", "#d1495b", "#66a182", "#edae49"};

std::string number(double x) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", std::abs(x) < 1e-12 ? 0.0 : x);
  return text;
}

// A step of 1, 2 or 5 times a power of ten that divides a range into at most
// `count` parts.
double tick_step(double range, int count) {
  const double raw = range / count;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  for (double factor : {1.0, 2.0, 5.0})
    if (factor * power >= raw * (1 - 1e-9)) return factor * power;
  return 10 * power;
}

// From data to pixels, along one direction, with ticks on both ends.
struct Axis {
  double low, high, step, from, to;

  Axis(double min, double max, int ticks, double pixel_from, double pixel_to)
      : from(pixel_from), to(pixel_to) {
    if (!(max > min)) max = min + 1;
    step = tick_step(max - min, ticks);
    low = std::floor(min / step + 1e-9) * step;
    high = std::ceil(max / step - 1e-9) * step;
  }
  double pixel(double x) const {
    return from + (x - low) / (high - low) * (to - from);
  }
  int ticks() const {
    return static_cast<int>(std::lround((high - low) / step)) + 1;
  }
  double tick(int i) const { return low + i * step; }
};

std::string line(double x1, double y1, double x2, double y2,
                 const char* colour) {
  return "<line x1='" + number(x1) + "' y1='" + number(y1) + "' x2='" +
         number(x2) + "' y2='" + number(y2) + "' stroke='" + colour + "'/>\n";
}

std::string text(double x, double y, const char* anchor, const std::string& t,
                 const char* style = "") {
  return "<text x='" + number(x) + "' y='" + number(y) + "' text-anchor='" +
         anchor + "' " + style + ">" + t + "</text>\n";
}

std::string axes(const Axis& x, const Axis& y) {
  std::string svg;
  for (int i = 0; i < y.ticks(); ++i) {
    const double at = y.pixel(y.tick(i));
    svg += line(x.from, at, x.to, at, i == 0 ? "#444" : "#e4e4e4");
    svg += text(x.from - 8, at + 4, "end", number(y.tick(i)));
  }
  for (int i = 0; i < x.ticks(); ++i) {
    const double at = x.pixel(x.tick(i));
    svg += line(at, y.from, at, y.from + 4, "#444");
    svg += text(at, y.from + 18, "middle", number(x.tick(i)));
  }
  return svg + text((x.from + x.to) / 2, kHeight - 8, "middle", "epoch");
}

std::string polyline(const Curve& curve, const Axis& x, const Axis& y,
                     const char* colour) {
  std::string svg = "<polyline fill='none' stroke-width='1.8' stroke='";
  svg += std::string(colour) + "' points='";
  for (std::size_t i = 0; i < curve.values.size(); ++i)
    if (std::isfinite(curve.values[i]))
      svg += number(x.pixel(static_cast<double>(i + 1))) + "," +
             number(y.pixel(curve.values[i])) + " ";
  return svg + "'/>\n";
}

std::string panel_svg(const Panel& panel, double offset) {
  double low = INFINITY, high = -INFINITY;
  std::size_t epochs = 1;
  for (const Curve& curve : panel.curves) {
    epochs = std::max(epochs, curve.values.size());
    for (double v : curve.values)
      if (std::isfinite(v)) low = std::min(low, v), high = std::max(high, v);
  }
  if (!(low <= high)) low = 0, high = 1;
  const Axis x(0, static_cast<double>(epochs), 6, kLeft, kWidth - kRight);
  const Axis y(low, high, 5, kHeight - kBottom, kTop);

  std::string svg =
      "<g transform='translate(" + number(offset) + ",0)'>\n" +
      text(kLeft, 22, "start", panel.title, "font-weight='bold'") + axes(x, y);
  double legend = kWidth - kRight;
  for (std::size_t i = panel.curves.size(); i-- > 0;) {
    const Curve& curve = panel.curves[i];
    const char* colour = kColours[i % std::size(kColours)];
    svg += polyline(curve, x, y, colour);
    svg += text(legend, 22, "end", curve.name,
                ("fill='" + std::string(colour) + "'").c_str());
    legend -= 9.0 + 7.5 * static_cast<double>(curve.name.size());
  }
  return svg + "</g>\n";
}

}  // namespace

void write_svg(const std::string& file, const std::vector<Panel>& panels) {
  const double width = kWidth * static_cast<double>(panels.size());
  const std::string size = number(width) + " " + number(kHeight);
  std::ofstream out(file);
  out << "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 " << size
      << "' width='" << number(width) << "' height='" << number(kHeight)
      << "' font-family='sans-serif' font-size='12' fill='#333'>\n"
      << "<rect width='100%' height='100%' fill='white'/>\n";
  for (std::size_t i = 0; i < panels.size(); ++i)
    out << panel_svg(panels[i], kWidth * static_cast<double>(i));
  out << "</svg>\n";
  if (!out.flush()) throw std::runtime_error("can't write " + file);
}

}  // namespace plot
