#include "ptx/lexer.h"

#include "execute/fault.h"

namespace ptx_emulator::ptx {
namespace {

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '_' || c == '$' || c == '.' || c == '%';
}

bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' ||
         c == '\v';
}

}  // namespace

Lexer::Lexer(std::string_view text, std::size_t position, int line)
    : text_(text), position_(position), line_(line) {
  advance();
}

void Lexer::fail(const std::string& problem) const { fail(problem, line_); }

void Lexer::fail(const std::string& problem, int line) {
  throw ImageError(ImageError::Reason::kInvalidPtx,
                   "PTX line " + std::to_string(line) + ": " + problem);
}

void Lexer::skip_blank() {
  while (position_ < text_.size()) {
    const char c = text_[position_];
    const char next =
        position_ + 1 < text_.size() ? text_[position_ + 1] : '\0';
    if (is_space(c)) {
      line_ += c == '\n';
      ++position_;
    } else if (c == '/' && next == '/') {
      position_ = std::min(text_.find('\n', position_), text_.size());
    } else if (c == '/' && next == '*') {
      const std::size_t end = text_.find("*/", position_ + 2);
      if (end == std::string_view::npos) fail("a comment without end");
      for (; position_ < end; ++position_) line_ += text_[position_] == '\n';
      position_ = end + 2;
    } else {
      return;
    }
  }
}

void Lexer::advance() {
  skip_blank();
  start_ = position_;
  if (position_ >= text_.size()) {
    token_ = {};
    return;
  }
  const char first = text_[position_++];
  if (first == '"') {
    const std::size_t end = text_.find('"', position_);
    if (end == std::string_view::npos) fail("a string without end");
    position_ = end + 1;
  } else if (is_word(first)) {
    // "::" joins the two halves of a modifier, as in shared::cta.
    const auto inside = [&] {
      if (is_word(text_[position_])) return true;
      const bool joins = text_.substr(position_, 2) == "::" &&
                         position_ + 2 < text_.size() &&
                         is_word(text_[position_ + 2]);
      position_ += joins;
      return joins;
    };
    while (position_ < text_.size() && inside()) ++position_;
  }
  token_ = text_.substr(start_, position_ - start_);
}

std::string_view Lexer::take() {
  const std::string_view token = token_;
  if (token.empty()) fail("unexpected end of the text");
  advance();
  return token;
}

bool Lexer::take_if(std::string_view text) {
  if (token_ != text) return false;
  advance();
  return true;
}

void Lexer::expect(std::string_view text) {
  if (token_ != text) {
    fail("expected '" + std::string(text) + "', found '" + std::string(token_) +
         "'");
  }
  advance();
}

void Lexer::skip_past(std::string_view text) {
  while (token_ != text) take();
  advance();
}

void Lexer::skip_line() {
  const int line = line_;
  while (!at_end() && line_ == line) advance();
}

}  // namespace ptx_emulator::ptx
