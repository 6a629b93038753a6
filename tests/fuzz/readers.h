// Every reader of what comes from outside, as a function of bytes: what the fuzzers and the test of
// their inputs run.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ebb::test {

struct Reader {
  std::string_view name;  // of its folder of seeds, too
  // Reads `bytes`. An Error is an answer; any other exception, a crash or a hang is a fault.
  std::function<void(std::string_view bytes)> read;
};

const std::vector<Reader>& readers();

// Calls the reader and takes an Error for an answer.
void feed(const Reader& reader, std::string_view bytes);

}  // namespace ebb::test
