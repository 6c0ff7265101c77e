#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/transforms/tape_picture.h"
#include "jacquard/error.h"
#include "jacquard/trace.h"

namespace jacquard {

namespace detail {

std::string name_of_entry(const TapeEntry& e) {
  if (e.kind != TapeEntry::Kind::argument) return e.operation;
  return e.operation.empty() ? "argument" : "argument " + e.operation;
}

std::string to_text(const TapeEntry::Value& v) {
  if (!v.defined) return "undefined";
  return std::string(jacquard::name_of(v.dtype)) + jacquard::to_string(v.shape);
}

std::string results_of(const TapeEntry& e) {
  std::string text;
  for (const TapeEntry::Value& v : e.results)
    text += (text.empty() ? "" : ", ") + to_text(v);
  return text;
}

std::string to_text(TapeRef r, const std::vector<TapeEntry>& entries) {
  if (r.entry < 0) return "–";
  std::string text = "%" + std::to_string(r.entry);
  if (entries[static_cast<std::size_t>(r.entry)].results.size() > 1)
    text += "." + std::to_string(r.result);
  return text;
}

std::string bytes_text(std::size_t bytes) {
  if (bytes < 10000) return std::to_string(bytes) + " B";
  if (bytes < 10000000) return std::to_string(bytes / 1000) + " kB";
  return std::to_string(bytes / 1000000) + " MB";
}

std::string line_of(const TapeEntry& e) {
  if (e.site.line == 0) return "";
  const std::string_view file = e.site.file;
  const std::size_t slash = file.rfind('/');
  return std::string(slash == std::string_view::npos ? file
                                                     : file.substr(slash + 1)) +
         ":" + std::to_string(e.site.line);
}

}  // namespace detail

namespace {

using detail::to_text;

constexpr std::size_t kColumns = 8;
using Row = std::array<std::string, kColumns>;

// Characters, not bytes.
std::size_t width_of(const std::string& s) {
  return static_cast<std::size_t>(std::ranges::count_if(s, [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

Row row_of(const TapeEntry& e, const std::vector<TapeEntry>& entries) {
  std::string operands;
  for (const TapeRef& r : e.operands)
    operands += (operands.empty() ? "" : " ") + to_text(r, entries);
  return {"%" + std::to_string(e.id),
          std::string(static_cast<std::size_t>(2 * e.depth), ' ') +
              detail::name_of_entry(e),
          std::move(operands),
          e.attributes,
          detail::results_of(e),
          e.given_up          ? "given up"
          : e.bytes_saved > 0 ? detail::bytes_text(e.bytes_saved)
                              : "",
          e.launch < 0 ? "" : "#" + std::to_string(e.launch),
          detail::line_of(e)};
}

std::string quoted(const std::string& s) {
  std::string out = "\"";
  for (const char c : s) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

// Lines of a label; DOT writes them with \n between.
std::string dot_node(const TapeEntry& e) {
  std::string label =
      "%" + std::to_string(e.id) + " " + detail::name_of_entry(e);
  std::string text = quoted(label + "\n" + detail::results_of(e));
  for (std::size_t at; (at = text.find('\n')) != std::string::npos;)
    text.replace(at, 1, "\\n");
  const char* shape = e.kind == TapeEntry::Kind::operation ? "box" : "ellipse";
  return "n" + std::to_string(e.id) + " [label=" + text + ", shape=" + shape +
         ", tooltip=" + quoted(detail::line_of(e)) + "];\n";
}

}  // namespace

const TapeEntry& Tape::operator[](std::size_t i) const {
  if (i >= entries_.size())
    throw IndexError("Tape: there is no entry " + std::to_string(i) + " of " +
                     std::to_string(entries_.size()));
  return entries_[i];
}

int Tape::launches() const {
  std::set<int> numbers;
  for (const TapeEntry& e : entries_)
    if (e.launch >= 0) numbers.insert(e.launch);
  return static_cast<int>(numbers.size());
}

std::size_t Tape::bytes_saved() const {
  std::size_t bytes = 0;
  for (const TapeEntry& e : entries_) bytes += e.bytes_saved;
  return bytes;
}

std::string Tape::to_string() const {
  std::vector<Row> rows{{"", "operation", "operands", "attributes", "result",
                         "kept", "launch", "line"}};
  for (const TapeEntry& e : entries_) rows.push_back(row_of(e, entries_));
  std::array<std::size_t, kColumns> widths{};
  for (const Row& r : rows)
    for (std::size_t i = 0; i < kColumns; ++i)
      widths[i] = std::max(widths[i], width_of(r[i]));
  std::string text;
  for (const Row& r : rows) {
    std::string line;
    for (std::size_t i = 0; i < kColumns; ++i)
      if (widths[i] > 0)
        line += r[i] + std::string(widths[i] - width_of(r[i]) + 2, ' ');
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  text += "returns";
  for (const TapeRef& r : results_) text += " " + to_text(r, entries_);
  text += "; " + std::to_string(entries_.size()) + " entries, " +
          std::to_string(launches()) + " fused launches, " +
          detail::bytes_text(bytes_saved()) + " kept\n";
  return text;
}

std::string Tape::to_dot() const {
  std::string text =
      "digraph tape {\n"
      "  rankdir=TB;\n"
      "  node [fontname=\"monospace\", fontsize=10];\n";
  std::set<int> numbers;
  for (const TapeEntry& e : entries_) {
    if (e.launch < 0)
      text += "  " + dot_node(e);
    else
      numbers.insert(e.launch);
  }
  for (const int launch : numbers) {
    const std::string name = std::to_string(launch);
    text += "  subgraph cluster_" + name + " {\n    label=\"launch " + name +
            "\";\n    style=dashed;\n";
    for (const TapeEntry& e : entries_)
      if (e.launch == launch) text += "    " + dot_node(e);
    text += "  }\n";
  }
  for (const TapeEntry& e : entries_)
    for (const TapeRef& r : e.operands)
      if (r.entry >= 0)
        text += "  n" + std::to_string(r.entry) + " -> n" +
                std::to_string(e.id) + ";\n";
  for (std::size_t i = 0; i < results_.size(); ++i)
    if (results_[i].entry >= 0)
      text += "  r" + std::to_string(i) + " [label=\"result\", " +
              "shape=plaintext];\n  n" + std::to_string(results_[i].entry) +
              " -> r" + std::to_string(i) + ";\n";
  return text + "}\n";
}

void Tape::save(const std::string& path) const {
  const auto ends = [&](std::string_view with) { return path.ends_with(with); };
  std::string text;
  if (ends(".txt"))
    text = to_string();
  else if (ends(".dot") || ends(".gv"))
    text = to_dot();
  else if (ends(".html"))
    text = to_html(path.substr(path.rfind('/') + 1));
  else if (ends(".svg"))
    text = detail::tape_picture(entries_, results_);
  else
    throw Error("Tape::save: " + path +
                ": the extension must be .txt, .dot, .gv, .html or .svg");
  std::ofstream file(path);
  file << text << std::flush;
  if (!file) throw Error("Tape::save: can't write " + path);
}

}  // namespace jacquard
