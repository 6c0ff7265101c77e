#include "core/transforms/tape_picture.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>

// A layered drawing (Sugiyama, Tagawa and Toda, 1981): layers by longest path,
// edges over several layers made of points in each, orders by barycentres in a
// few sweeps, then places from left to right, drawn towards their neighbours
// without overlap.
namespace jacquard::detail {
namespace {

constexpr double kCharacter = 7.3;  // of a monospaced font of 12 px
constexpr double kBoxHeight = 38, kLayerGap = 34, kGap = 18, kMargin = 20;

struct Vertex {
  const TapeEntry* entry = nullptr;  // null: a point of an edge, or a result
  bool is_result = false;
  int layer = 0;
  double width = 0, x = 0;  // x: the middle
  std::vector<int> above, below;
};

struct Layout {
  std::vector<Vertex> vertices;
  std::vector<std::vector<int>> layers;
  std::vector<std::vector<int>> edges;  // vertices from top to bottom

  double y(int layer) const {
    return kMargin + layer * (kBoxHeight + kLayerGap);
  }
};

std::string label_of(const TapeEntry& e) {
  return "%" + std::to_string(e.id) + " " + name_of_entry(e);
}

// What fits a box.
std::string shortened(const std::string& s) {
  constexpr std::size_t kMost = 40;
  return s.size() <= kMost ? s : s.substr(0, kMost - 3) + "...";
}

double width_of(const TapeEntry& e) {
  const std::size_t longest =
      std::max(shortened(label_of(e)).size(), shortened(results_of(e)).size());
  return static_cast<double>(longest) * kCharacter + 16;
}

void connect(Layout& l, int from, int to) {
  std::vector<int> chain{from};
  for (int layer = l.vertices[static_cast<std::size_t>(from)].layer + 1;
       layer < l.vertices[static_cast<std::size_t>(to)].layer; ++layer) {
    const int point = static_cast<int>(l.vertices.size());
    l.vertices.push_back(
        {.layer = layer, .width = 2, .above = {}, .below = {}});
    chain.push_back(point);
  }
  chain.push_back(to);
  for (std::size_t i = 0; i + 1 < chain.size(); ++i) {
    l.vertices[static_cast<std::size_t>(chain[i])].below.push_back(
        chain[i + 1]);
    l.vertices[static_cast<std::size_t>(chain[i + 1])].above.push_back(
        chain[i]);
  }
  l.edges.push_back(std::move(chain));
}

// Operations as high as their operands allow; what has no operands just above
// its first use.
std::vector<int> layers_of(const std::vector<TapeEntry>& entries) {
  std::vector<int> layer(entries.size(), 0);
  for (const TapeEntry& e : entries)
    for (const TapeRef& r : e.operands)
      if (r.entry >= 0)
        layer[static_cast<std::size_t>(e.id)] =
            std::max(layer[static_cast<std::size_t>(e.id)],
                     layer[static_cast<std::size_t>(r.entry)] + 1);
  std::vector<int> first(entries.size(), -1);
  for (const TapeEntry& e : entries)
    for (const TapeRef& r : e.operands) {
      if (r.entry < 0) continue;
      int& f = first[static_cast<std::size_t>(r.entry)];
      const int own = layer[static_cast<std::size_t>(e.id)] - 1;
      f = f < 0 ? own : std::min(f, own);
    }
  for (const TapeEntry& e : entries)
    if (e.operands.empty() && first[static_cast<std::size_t>(e.id)] > 0)
      layer[static_cast<std::size_t>(e.id)] =
          first[static_cast<std::size_t>(e.id)];
  return layer;
}

Layout graph_of(const std::vector<TapeEntry>& entries,
                const std::vector<TapeRef>& results) {
  Layout l;
  const std::vector<int> layer = layers_of(entries);
  for (const TapeEntry& e : entries)
    l.vertices.push_back({.entry = &e,
                          .layer = layer[static_cast<std::size_t>(e.id)],
                          .width = width_of(e),
                          .above = {},
                          .below = {}});
  for (const TapeEntry& e : entries) {
    std::vector<int> from;
    for (const TapeRef& r : e.operands)
      if (r.entry >= 0 && std::ranges::find(from, r.entry) == from.end())
        from.push_back(r.entry);
    for (const int f : from) connect(l, f, e.id);
  }
  for (const TapeRef& r : results) {
    if (r.entry < 0) continue;
    const int at = static_cast<int>(l.vertices.size());
    l.vertices.push_back({.is_result = true,
                          .layer = layer[static_cast<std::size_t>(r.entry)] + 1,
                          .width = 6 * kCharacter + 16,
                          .above = {},
                          .below = {}});
    connect(l, r.entry, at);
  }
  for (std::size_t i = 0; i < l.vertices.size(); ++i) {
    const auto k = static_cast<std::size_t>(l.vertices[i].layer);
    if (l.layers.size() <= k) l.layers.resize(k + 1);
    l.layers[k].push_back(static_cast<int>(i));
  }
  return l;
}

void order_layers(Layout& l) {
  std::vector<double> place(l.vertices.size());
  const auto number = [&](const std::vector<int>& layer) {
    for (std::size_t i = 0; i < layer.size(); ++i)
      place[static_cast<std::size_t>(layer[i])] = static_cast<double>(i);
  };
  for (const auto& layer : l.layers) number(layer);
  for (int sweep = 0; sweep < 12; ++sweep) {
    const bool down = sweep % 2 == 0;
    for (std::size_t i = 0; i < l.layers.size(); ++i) {
      auto& layer = l.layers[down ? i : l.layers.size() - 1 - i];
      std::vector<std::pair<double, int>> order;
      for (const int v : layer) {
        const Vertex& vertex = l.vertices[static_cast<std::size_t>(v)];
        const auto& others = down ? vertex.above : vertex.below;
        double sum = 0;
        for (const int o : others) sum += place[static_cast<std::size_t>(o)];
        order.emplace_back(others.empty()
                               ? place[static_cast<std::size_t>(v)]
                               : sum / static_cast<double>(others.size()),
                           v);
      }
      std::ranges::stable_sort(order, {}, &std::pair<double, int>::first);
      for (std::size_t k = 0; k < layer.size(); ++k) layer[k] = order[k].second;
      number(layer);
    }
  }
}

// Moves a layer's vertices to `wanted` as far as the order and the gaps allow:
// neighbours that would overlap form blocks that lie at their mean.
void place_layer(Layout& l, const std::vector<int>& layer,
                 const std::vector<double>& wanted) {
  struct Block {
    double position, offset_sum, count, width;
    std::size_t first;
  };
  std::vector<Block> blocks;
  for (std::size_t i = 0; i < layer.size(); ++i) {
    const double w = l.vertices[static_cast<std::size_t>(layer[i])].width;
    blocks.push_back({wanted[i] - w / 2, wanted[i] - w / 2, 1, w + kGap, i});
    while (blocks.size() > 1) {
      Block& b = blocks[blocks.size() - 1];
      Block& a = blocks[blocks.size() - 2];
      if (a.position + a.width <= b.position) break;
      a.offset_sum += b.offset_sum - b.count * a.width;
      a.count += b.count;
      a.width += b.width;
      a.position = a.offset_sum / a.count;
      blocks.pop_back();
    }
  }
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    double left = blocks[b].position;
    const std::size_t end =
        b + 1 < blocks.size() ? blocks[b + 1].first : layer.size();
    for (std::size_t i = blocks[b].first; i < end; ++i) {
      Vertex& v = l.vertices[static_cast<std::size_t>(layer[i])];
      v.x = left + v.width / 2;
      left += v.width + kGap;
    }
  }
}

void place_all(Layout& l) {
  for (const auto& layer : l.layers) {
    double left = 0;
    for (const int v : layer) {
      Vertex& vertex = l.vertices[static_cast<std::size_t>(v)];
      vertex.x = left + vertex.width / 2;
      left += vertex.width + kGap;
    }
  }
  for (int sweep = 0; sweep < 10; ++sweep) {
    const bool down = sweep % 2 == 0;
    for (std::size_t i = 0; i < l.layers.size(); ++i) {
      const auto& layer = l.layers[down ? i : l.layers.size() - 1 - i];
      std::vector<double> wanted;
      for (const int v : layer) {
        const Vertex& vertex = l.vertices[static_cast<std::size_t>(v)];
        const auto& others = down ? vertex.above : vertex.below;
        double sum = 0;
        for (const int o : others)
          sum += l.vertices[static_cast<std::size_t>(o)].x;
        wanted.push_back(others.empty()
                             ? vertex.x
                             : sum / static_cast<double>(others.size()));
      }
      place_layer(l, layer, wanted);
    }
  }
  double left = 1e300;
  for (const Vertex& v : l.vertices) left = std::min(left, v.x - v.width / 2);
  for (Vertex& v : l.vertices) v.x += kMargin - left;
}

std::string escaped(const std::string& s) {
  std::string out;
  for (const char c : s) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

std::string number(double x) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%.1f", x);
  return digits;
}

std::string path_of(const Layout& l, const std::vector<int>& chain) {
  const auto at = [&](std::size_t i) -> const Vertex& {
    return l.vertices[static_cast<std::size_t>(chain[i])];
  };
  std::string d;
  for (std::size_t i = 0; i + 1 < chain.size(); ++i) {
    const Vertex &a = at(i), &b = at(i + 1);
    // Points of edges pass straight through their layer.
    const double from = l.y(a.layer) + kBoxHeight, to = l.y(b.layer);
    const double middle = (from + to) / 2;
    d += (i == 0 ? "M" : " L") + number(a.x) + " " + number(from) + " C" +
         number(a.x) + " " + number(middle) + " " + number(b.x) + " " +
         number(middle) + " " + number(b.x) + " " + number(to);
  }
  return "<path class=\"edge\" d=\"" + d + "\"/>\n";
}

std::string text_at(double x, double y, const std::string& kind,
                    const std::string& text) {
  return "<text class=\"" + kind + "\" x=\"" + number(x) + "\" y=\"" +
         number(y) + "\">" + escaped(text) + "</text>";
}

std::string hint_of(const TapeEntry& e) {
  std::string hint = label_of(e) + "\n" + results_of(e);
  if (!e.attributes.empty()) hint += "\n(" + e.attributes + ")";
  if (e.bytes_saved > 0) hint += "\nkeeps " + bytes_text(e.bytes_saved);
  if (e.given_up) hint += "\ngiven up";
  if (e.launch >= 0) hint += "\nlaunch " + std::to_string(e.launch);
  if (e.site.line != 0)
    hint += "\n" + std::string(e.site.file) + ":" + std::to_string(e.site.line);
  return hint;
}

// Of medium lightness, for light and dark pages; neighbours are far from each
// other.
std::string colour_of(int launch) {
  constexpr const char* kColours[] = {"#3b7dd8", "#d9822b", "#3fa34d",
                                      "#a854c7", "#c94f4f", "#1f9e9e",
                                      "#b08d1e", "#7a6fd0"};
  return kColours[launch % 8];
}

std::string box_of(const Layout& l, const Vertex& v) {
  const double top = l.y(v.layer);
  if (v.is_result)
    return "<g class=\"result\">" +
           text_at(v.x, top + kBoxHeight / 2, "name", "result") + "</g>\n";
  const TapeEntry& e = *v.entry;
  const std::string kind = e.kind == TapeEntry::Kind::operation  ? "operation"
                           : e.kind == TapeEntry::Kind::argument ? "argument"
                                                                 : "captured";
  std::string style;
  if (e.launch >= 0) {
    const std::string colour = colour_of(e.launch);
    style =
        " style=\"fill:" + colour + ";fill-opacity:.15;stroke:" + colour + "\"";
  }
  return "<g class=\"" + kind + "\"><title>" + escaped(hint_of(e)) +
         "</title><rect x=\"" + number(v.x - v.width / 2) + "\" y=\"" +
         number(top) + "\" width=\"" + number(v.width) + "\" height=\"" +
         number(kBoxHeight) + "\" rx=\"" +
         (e.kind == TapeEntry::Kind::operation ? "4" : "19") + "\"" + style +
         "/>" + text_at(v.x, top + 16, "name", shortened(label_of(e))) +
         text_at(v.x, top + 31, "shape", shortened(results_of(e))) + "</g>\n";
}

constexpr const char* kStyle =
    "<style>"
    "text{font:12px ui-monospace,monospace;text-anchor:middle;fill:#333}"
    ".shape{font-size:11px;fill:#666}"
    "rect{fill:#fafafa;stroke:#999}"
    ".captured rect{stroke-dasharray:4 3}"
    ".edge{fill:none;stroke:#999}"
    "g:hover rect{stroke-width:2}"
    "@media(prefers-color-scheme:dark){"
    "text{fill:#ddd}.shape{fill:#aaa}rect{fill:#2a2a2a;stroke:#777}"
    ".edge{stroke:#777}}"
    "</style>\n";

}  // namespace

std::string tape_picture(const std::vector<TapeEntry>& entries,
                         const std::vector<TapeRef>& results) {
  Layout l = graph_of(entries, results);
  order_layers(l);
  place_all(l);
  double right = 0;
  for (const Vertex& v : l.vertices) right = std::max(right, v.x + v.width / 2);
  const std::string width = number(right + kMargin);
  const std::string height =
      number(l.y(static_cast<int>(l.layers.size())) - kLayerGap + kMargin);
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" +
                    width + "\" height=\"" + height + "\" viewBox=\"0 0 " +
                    width + " " + height + "\">\n" + kStyle;
  for (const auto& chain : l.edges) svg += path_of(l, chain);
  for (const Vertex& v : l.vertices)
    if (v.entry || v.is_result) svg += box_of(l, v);
  return svg + "</svg>\n";
}

}  // namespace jacquard::detail

namespace jacquard {

std::string Tape::to_html(const std::string& title) const {
  using detail::escaped;
  return "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>"
         "<title>" +
         escaped(title) +
         "</title>\n<style>:root{color-scheme:light dark}"
         "body{font-family:system-ui,sans-serif;margin:1.5em}"
         ".picture{overflow:auto}pre{overflow:auto;font-size:12px}"
         "</style></head>\n<body>\n<h1>" +
         escaped(title) + "</h1>\n<div class=\"picture\">\n" +
         detail::tape_picture(entries_, results_) + "</div>\n<pre>" +
         escaped(to_string()) + "</pre>\n</body></html>\n";
}

}  // namespace jacquard
