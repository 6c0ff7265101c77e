#include "ptx/module.h"

#include "execute/fault.h"
#include "ptx/body_parser.h"
#include "ptx/parse_common.h"

namespace ptx_emulator::ptx {

// Parses what stands at the top level of a module.
class ModuleParser {
 public:
  explicit ModuleParser(Module* module)
      : module_(*module), lexer_(module->text_, 0, 1) {}

  void run() {
    while (!lexer_.at_end()) directive();
  }

 private:
  void directive() {
    const int line = lexer_.line();
    const std::string_view name = lexer_.take();
    if (name == ".version" || name == ".address_size") {
      lexer_.advance();
    } else if (name == ".target") {
      target();
    } else if (name == ".file") {
      file();
    } else if (name == ".section") {
      lexer_.skip_past("}");
    } else if (name != ";") {
      declaration(name, line);
    }
  }

  void target() {
    const std::string_view target = lexer_.take();
    if (!target.starts_with("sm_")) lexer_.fail("a target sm_N is expected");
    module_.target_ = std::atoi(std::string(target.substr(3)).c_str());
    while (lexer_.take_if(",")) lexer_.advance();
  }

  // .file index "name" [, timestamp, size]
  void file() {
    const int index = std::atoi(std::string(lexer_.take()).c_str());
    std::string_view name = lexer_.take();
    if (name.size() >= 2) name = name.substr(1, name.size() - 2);
    module_.files_[index] = name;
    while (lexer_.take_if(",")) lexer_.advance();
  }

  // [.visible | .extern | .weak | .common] then a variable or a function.
  void declaration(std::string_view name, int line) {
    bool is_extern = false;
    while (name == ".visible" || name == ".extern" || name == ".weak" ||
           name == ".common") {
      is_extern |= name == ".extern";
      name = lexer_.take();
    }
    if (const auto space = space_named(name)) {
      Variable variable = parse_variable(&lexer_, *space, is_extern);
      lexer_.expect(";");
      // A definition replaces an earlier declaration, not the reverse.
      auto [place, is_new] =
          module_.variables_.try_emplace(variable.name, variable);
      if (!is_new && place->second.is_extern) place->second = variable;
    } else if (name == ".entry" || name == ".func") {
      function(name == ".entry");
    } else {
      Lexer::fail("unsupported directive " + std::string(name), line);
    }
  }

  std::vector<Variable> parameters() {
    std::vector<Variable> list;
    lexer_.expect("(");
    while (!lexer_.take_if(")")) {
      if (lexer_.take_if(".reg")) lexer_.fail("unsupported .reg parameter");
      lexer_.expect(".param");
      list.push_back(parse_variable(&lexer_, Space::kParam, false));
      if (!lexer_.is(")")) lexer_.expect(",");
    }
    return list;
  }

  void function(bool is_entry) {
    Function function;
    function.is_entry = is_entry;
    while (lexer_.is(".noreturn") || lexer_.is(".attribute")) {
      if (lexer_.take() == ".attribute") lexer_.skip_past(")");
    }
    if (!is_entry && lexer_.is("(")) function.results = parameters();
    function.name = lexer_.take();
    function.line = lexer_.line();
    if (lexer_.is("(")) function.parameters = parameters();
    while (!lexer_.is("{") && !lexer_.is(";")) function_directive(&function);
    function.has_body = lexer_.is("{");
    if (function.has_body) skip_body(&function);
    lexer_.advance();
    const auto [place, is_new] =
        module_.functions_.try_emplace(function.name, function);
    if (!is_new && function.has_body) place->second = function;
  }

  void function_directive(Function* function) {
    const std::string_view name = lexer_.take();
    std::uint32_t values[3] = {1, 1, 1};
    int count = 0;
    while (const auto number = parse_number(lexer_.token())) {
      if (count < 3) values[count++] = static_cast<std::uint32_t>(number->bits);
      lexer_.advance();
      if (!lexer_.take_if(",")) break;
    }
    if (name == ".maxntid" || name == ".reqntid") {
      function->max_threads = values[0] * values[1] * values[2];
      if (name == ".reqntid") {
        std::copy(values, values + 3, function->required_threads);
      }
    } else if (name == ".pragma") {
      lexer_.skip_past(";");
    } else if (name != ".minnctapersm" && name != ".maxnreg" &&
               name != ".maxnctapersm" && name != ".noreturn") {
      function->directives.emplace_back(name);
    }
  }

  // From "{" to the matching "}", on which it leaves the lexer.
  void skip_body(Function* function) {
    function->body_start = lexer_.start() + 1;
    function->body_line = lexer_.line();
    int depth = 0;
    do {
      if (lexer_.at_end()) lexer_.fail("a function without end");
      depth += lexer_.is("{");
      lexer_.advance();
      depth -= lexer_.is("}");
    } while (depth > 0);
  }

  Module& module_;
  Lexer lexer_;
};

Module::Module(std::string text) : text_(std::move(text)) {
  ModuleParser(this).run();
}

const Function* Module::find_function(std::string_view name) const {
  const auto place = functions_.find(name);
  return place == functions_.end() ? nullptr : &place->second;
}

const Variable* Module::find_variable(std::string_view name) const {
  const auto place = variables_.find(name);
  return place == variables_.end() ? nullptr : &place->second;
}

const Function& Module::parse_body(std::string_view name) {
  const auto place = functions_.find(name);
  if (place == functions_.end() || !place->second.has_body) {
    throw ImageError(ImageError::Reason::kUnknownFunction,
                     "the module has no function " + std::string(name));
  }
  Function& function = place->second;
  if (!function.parsed) {
    parse_function_body(text_, &function);
    function.parsed = true;
  }
  return function;
}

std::string Module::source_file(int index) const {
  const auto place = files_.find(index);
  return place == files_.end() ? "" : place->second;
}

std::int64_t Function::find_label(std::string_view label,
                                  std::uint32_t scope) const {
  for (;;) {
    const auto [begin, end] = labels.equal_range(label);
    for (auto at = begin; at != end; ++at) {
      if (at->second.scope == scope) return at->second.statement;
    }
    if (scope == 0) return -1;
    scope = scopes[scope];
  }
}

}  // namespace ptx_emulator::ptx
