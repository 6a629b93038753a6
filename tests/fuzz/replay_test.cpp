// The fuzzers' inputs, and simple changes of each, without the fuzzers: every one is read or
// refused by an Error.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include "tests/fuzz/readers.h"
#include "tests/paths.h"
#include "tests/temporary_folder.h"

namespace ebb::test {

TEST_CASE("every reader survives its seeds, their prefixes and single changed bytes") {
  for (const Reader& reader : readers()) {
    CAPTURE(reader.name);
    const std::string folder = source_folder() + "/tests/fuzz/seeds/" + std::string(reader.name);
    std::size_t seeds = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      const std::string seed = contents_of(entry.path().string());
      CAPTURE(entry.path().string());
      const auto fed = [&](const std::string& bytes) { CHECK_NOTHROW(feed(reader, bytes)); };
      ++seeds;
      fed(seed);
      for (std::size_t length = 0; length < std::min<std::size_t>(seed.size(), 200); ++length)
        fed(seed.substr(0, length));
      for (std::size_t at = 0; at < std::min<std::size_t>(seed.size(), 200); ++at)
        for (const char byte : {'\0', '\xff', static_cast<char>(seed[at] ^ '\x80'), '9', '"'}) {
          std::string changed = seed;
          changed[at] = byte;
          fed(changed);
        }
    }
    CHECK(seeds > 0);
  }
}

}  // namespace ebb::test
