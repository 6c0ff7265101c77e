#include "runtime/configuration.h"

#include <cstdlib>
#include <cstring>

#include "runtime/order.h"

namespace ptx_emulator {
namespace {

int number(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr || *text == '\0' ? otherwise : std::atoi(text);
}

bool is_set(const char* name) {
  const char* text = std::getenv(name);
  return text != nullptr && *text != '\0' && std::strcmp(text, "0") != 0;
}

Configuration read() {
  Configuration result;
  result.capability = number("PTX_EMULATOR_CAPABILITY", result.capability);
  result.devices = number("PTX_EMULATOR_DEVICES", result.devices);
  result.driver_version = number("PTX_EMULATOR_DRIVER", result.driver_version);
  result.order_seed = order_seed_from_environment();
  result.null_mode = is_set("PTX_EMULATOR_NULL");
  result.print_table = is_set("PTX_EMULATOR_TABLE");
  if (const char* path = std::getenv("PTX_EMULATOR_REPORT"))
    result.report_path = path;
  return result;
}

}  // namespace

const Configuration& configuration() {
  static const Configuration result = read();
  return result;
}

}  // namespace ptx_emulator
