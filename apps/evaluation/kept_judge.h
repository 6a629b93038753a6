// Networks that judge samples, kept in a cache: each is trained once.
#pragma once

#include <ebb/tensor/tensor.h>

#include <string>
#include <vector>

namespace ebb::apps {

// Everything but the pixels that fixes a judge's bits, in words, stands beside its weights.
//
// Whether the file holds the judge that `wanted` describes; its weights are then copied into
// `into`, a state_dict. A damaged file costs a remark.
bool load_judge(const std::vector<NamedTensor>& into, const std::string& file,
                const std::string& wanted);
// The file's name; empty if it cannot be kept, which costs a remark.
std::string save_judge(const std::vector<NamedTensor>& weights, const std::string& file,
                       const std::string& wanted);

}  // namespace ebb::apps
