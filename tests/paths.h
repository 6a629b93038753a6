// Where things are on this machine. HistoryEntry to one file alone, so that the others compile to
// the same objects in every checkout.
#pragma once

#include <string>

namespace ebb::test {

std::string golden_folder();  // the environment variable EBB_GOLDEN_DIR names another
std::string source_folder();
std::string program();  // the ebb program; empty where it is not built

}  // namespace ebb::test
