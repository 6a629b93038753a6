// Element types as files have them, and how they become ours.
#pragma once

#include <ebb/tensor/io/input_file.h>
#include <ebb/tensor/tensor.h>

#include <string_view>

namespace ebb {

struct FileType {
  std::string_view safetensors;  // its name there, "F32"
  std::string_view npy;          // and there, "<f4"; empty where NumPy has none
  std::size_t width;             // bytes of an element in the file
  DType dtype;                   // what it becomes: the nearest that holds every value
  void (*convert)(const void* from, void* to, std::int64_t count);  // null: the same bytes
};

// The type whose `key` (&FileType::safetensors or &FileType::npy) is `name`, or null.
const FileType* find_file_type(std::string_view FileType::*key, std::string_view name);
// How a dtype is written.
const FileType& file_type_of(DType dtype);
// The next shape.numel() elements of `file`.
Tensor read_elements(InputFile& file, const FileType& type, const Shape& shape);

}  // namespace ebb
