// libFuzzer's entry: the reader that the environment variable EBB_READER names (run.sh).
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/readers.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const ebb::test::Reader* const reader = [] {
    const char* name = std::getenv("EBB_READER");
    for (const ebb::test::Reader& known : ebb::test::readers())
      if (name != nullptr && known.name == name) return &known;
    std::fprintf(stderr, "EBB_READER: name a reader of tests/fuzz/readers.cpp\n");
    std::exit(2);
  }();
  ebb::test::feed(*reader, {reinterpret_cast<const char*>(data), size});
  return 0;
}
