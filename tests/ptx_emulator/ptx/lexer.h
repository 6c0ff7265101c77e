// Splits PTX text into tokens.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ptx_emulator::ptx {

// A cursor over PTX text that stands on one token at a time. Identifiers,
// numbers, directives and instructions with their modifiers ("add.s32") are
// one token; so are strings; any other character is a token of its own.
// Comments and white space are skipped. The text must outlive the lexer.
class Lexer {
 public:
  // Stands on the first token at or after `position`, which is in `line`.
  Lexer(std::string_view text, std::size_t position, int line);

  // The current token; empty at the end of the text.
  std::string_view token() const { return token_; }
  bool at_end() const { return token_.empty(); }
  bool is(std::string_view text) const { return token_ == text; }
  int line() const { return line_; }            // of the current token
  std::size_t start() const { return start_; }  // of the current token

  void advance();
  // Returns the current token and advances.
  std::string_view take();
  // Advances if the current token is `text`.
  bool take_if(std::string_view text);
  // Advances past `text`, or throws ImageError if another token stands there.
  void expect(std::string_view text);
  // Advances past the next `text`.
  void skip_past(std::string_view text);
  // Advances to the first token of the next line.
  void skip_line();
  // Throws ImageError (kInvalidPtx) with the current line, or the given one.
  [[noreturn]] void fail(const std::string& problem) const;
  [[noreturn]] static void fail(const std::string& problem, int line);

 private:
  void skip_blank();

  std::string_view text_;
  std::size_t position_;  // after the current token
  std::size_t start_ = 0;
  int line_;
  std::string_view token_;
};

}  // namespace ptx_emulator::ptx
