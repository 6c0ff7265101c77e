#include "ptx/body_parser.h"

#include <cstdlib>

#include "ptx/parse_common.h"

namespace ptx_emulator::ptx {
namespace {

class BodyParser {
 public:
  BodyParser(std::string_view text, Function* function)
      : function_(*function),
        lexer_(text, function->body_start, function->body_line) {
    function_.scopes.push_back(0);
    open_.push_back({});
  }

  void run() {
    for (;;) {
      if (lexer_.take_if("{")) {
        function_.scopes.push_back(open_.back().index);
        open_.push_back(
            {static_cast<std::uint32_t>(function_.scopes.size() - 1), {}});
      } else if (lexer_.take_if("}")) {
        open_.pop_back();
        if (open_.empty()) return;
      } else if (lexer_.token().starts_with(".")) {
        directive();
      } else if (!lexer_.take_if(";")) {
        label_or_statement();
      }
    }
  }

 private:
  struct Scope {
    std::uint32_t index = 0;
    std::map<std::string, std::string, std::less<>> names;
  };

  // The unique name of what is declared here.
  std::string declare(std::string_view name) {
    if (open_.size() == 1) return std::string(name);
    std::string unique =
        std::string(name) + "#" + std::to_string(open_.back().index);
    open_.back().names[std::string(name)] = unique;
    return unique;
  }

  std::string resolve(std::string_view name) const {
    for (auto scope = open_.rbegin(); scope != open_.rend(); ++scope) {
      const auto place = scope->names.find(name);
      if (place != scope->names.end()) return place->second;
    }
    return std::string(name);
  }

  void directive() {
    const int line = lexer_.line();
    const std::string_view name = lexer_.take();
    if (name == ".reg" || name.starts_with(".reg.")) {
      registers(name);
    } else if (const auto space = space_named(name)) {
      Variable variable = parse_variable(&lexer_, *space, false);
      lexer_.expect(";");
      variable.name = declare(variable.name);
      function_.variables[variable.name] = variable;
    } else if (name == ".loc") {
      location();
    } else if (name == ".pragma" || name == ".callprototype" ||
               name == ".calltargets") {
      lexer_.skip_past(";");
    } else {
      Lexer::fail("unsupported directive " + std::string(name), line);
    }
  }

  // .reg .type name, name<count>; also written ".reg.type".
  void registers(std::string_view name) {
    const std::string_view written =
        name.size() > 5 ? name.substr(5) : lexer_.take().substr(1);
    const Type type = type_named(written);
    if (type == Type::kNone) {
      lexer_.fail("unsupported register type " + std::string(written));
    }
    do {
      const std::string_view base = lexer_.take();
      if (lexer_.take_if("<")) {
        const int count = std::atoi(std::string(lexer_.take()).c_str());
        lexer_.expect(">");
        for (int i = 0; i < count; ++i) {
          function_.registers[declare(std::string(base) + std::to_string(i))] =
              type;
        }
      } else {
        function_.registers[declare(base)] = type;
      }
    } while (lexer_.take_if(","));
    lexer_.expect(";");
  }

  // .loc file line column [, function_name ... inlined_at ...]
  void location() {
    const int line = lexer_.line();
    source_file_ = std::atoi(std::string(lexer_.take()).c_str());
    source_line_ = std::atoi(std::string(lexer_.take()).c_str());
    while (!lexer_.at_end() && lexer_.line() == line) lexer_.advance();
  }

  void label_or_statement() {
    Statement statement;
    statement.line = lexer_.line();
    statement.scope = open_.back().index;
    statement.source_file = source_file_;
    statement.source_line = source_line_;
    if (lexer_.take_if("@")) {
      statement.guard_negated = lexer_.take_if("!");
      statement.guard = resolve(lexer_.take());
    }
    const std::string_view word = lexer_.take();
    if (statement.guard.empty() && lexer_.take_if(":")) {
      label(std::string(word));
      return;
    }
    split(word, &statement);
    while (!lexer_.is(";")) {
      statement.operands.push_back(operand());
      if (!lexer_.is(";")) lexer_.expect(",");
    }
    lexer_.advance();
    function_.statements.push_back(std::move(statement));
  }

  void label(const std::string& name) {
    function_.labels.emplace(
        name, Label{open_.back().index,
                    static_cast<std::uint32_t>(function_.statements.size())});
    if (!lexer_.take_if(".branchtargets")) return;
    while (!lexer_.take_if(";")) {
      if (!lexer_.is(",")) {
        function_.tables[name].emplace_back(lexer_.token());
      }
      lexer_.advance();
    }
  }

  static void split(std::string_view word, Statement* statement) {
    std::size_t dot = word.find('.');
    statement->opcode = word.substr(0, dot);
    while (dot != std::string_view::npos) {
      const std::size_t next = word.find('.', dot + 1);
      statement->modifiers.emplace_back(word.substr(dot + 1, next - dot - 1));
      dot = next;
    }
  }

  Operand operand() {
    Operand result;
    if (lexer_.take_if("[")) return address();
    if (lexer_.is("{") || lexer_.is("(")) {
      const bool vector = lexer_.take() == "{";
      result.kind = vector ? Operand::Kind::kVector : Operand::Kind::kList;
      const std::string_view end = vector ? "}" : ")";
      while (!lexer_.take_if(end)) {
        result.elements.push_back(operand());
        if (!lexer_.is(end)) lexer_.expect(",");
      }
      return result;
    }
    const bool negated = lexer_.take_if("!");
    const bool negative = !negated && lexer_.take_if("-");
    if (lexer_.is("}") || lexer_.is(",") || lexer_.is(")")) {
      lexer_.fail("expected an operand, found '" + std::string(lexer_.token()) +
                  "'");
    }
    const std::string_view word = lexer_.take();
    if (const auto number = parse_number(word)) {
      result = *number;
      if (negative) negate(&result);
    } else if (negative) {
      lexer_.fail("\"-\" before what is no number");
    } else if (word == "WARP_SZ") {
      result.kind = Operand::Kind::kImmediate;
      result.bits = 32;
    } else {
      named(word, &result);
    }
    result.negated = negated;
    return result;
  }

  void named(std::string_view word, Operand* result) {
    result->name = resolve(word);
    const bool is_register =
        word.starts_with('%') || function_.registers.contains(result->name);
    result->kind =
        is_register ? Operand::Kind::kRegister : Operand::Kind::kSymbol;
    if (lexer_.take_if("|")) result->second = resolve(lexer_.take());
    if (!is_register) result->offset = offset();
  }

  static void negate(Operand* number) {
    switch (number->form) {
      case Operand::Form::kInteger:
        number->bits = 0 - number->bits;
        break;
      case Operand::Form::kFloat32:
        number->bits ^= std::uint64_t{1} << 31;
        break;
      case Operand::Form::kFloat64:
        number->bits ^= std::uint64_t{1} << 63;
        break;
    }
  }

  // The sum of "+ number" and "- number" that stand here.
  std::int64_t offset() {
    std::int64_t sum = 0;
    while (lexer_.is("+") || lexer_.is("-")) {
      bool negative = lexer_.take() == "-";
      negative ^= lexer_.take_if("-");
      const auto number = parse_number(lexer_.take());
      if (!number || number->form != Operand::Form::kInteger) {
        lexer_.fail("an offset must be an integer");
      }
      const auto value = static_cast<std::int64_t>(number->bits);
      sum += negative ? -value : value;
    }
    return sum;
  }

  Operand address() {
    Operand result;
    result.kind = Operand::Kind::kAddress;
    const bool negative = lexer_.take_if("-");
    const std::string_view base = lexer_.take();
    if (const auto number = parse_number(base)) {
      result.offset = static_cast<std::int64_t>(number->bits);
      if (negative) result.offset = -result.offset;
    } else {
      result.name = resolve(base);
    }
    result.offset += offset();
    lexer_.expect("]");
    return result;
  }

  Function& function_;
  Lexer lexer_;
  std::vector<Scope> open_;
  int source_file_ = 0;
  int source_line_ = 0;
};

}  // namespace

void parse_function_body(std::string_view text, Function* function) {
  BodyParser(text, function).run();
}

}  // namespace ptx_emulator::ptx
