// safetensors files, as Hugging Face's library and PyTorch programs write them: the length of a
// JSON header (8 bytes, little-endian), the header, the data.
// https://github.com/huggingface/safetensors#format
#pragma once

#include <ebb/tensor/tensor.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ebb {

struct Safetensors {
  std::vector<NamedTensor> tensors;             // in the order of their data
  std::map<std::string, std::string> metadata;  // the header's __metadata__

  bool contains(std::string_view name) const;
  // An Error where there is none of that name.
  const Tensor& operator[](std::string_view name) const;
};

// F32, F64 and I64 as they are; F16 and BF16 become float32; BOOL, I8, U8, I16, U16, I32 and U32
// become int64. Nothing in the file is trusted: one that the reference parser would refuse (a
// header past the end or above 100 MB, not JSON, a key twice, holes, overlaps, trailing bytes,
// sizes that overflow or disagree with the range) is an Error naming the file, the cause and the
// mend. Data is read only after the whole header has been checked.
Safetensors read_safetensors(const std::string& path);

// Replaces `path` in one step (see AtomicFile). 8-byte types come first so that all data is
// aligned; else the order is kept. Names must differ and be UTF-8.
void write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace ebb
