#include <ebb/tensor/io/atomic_file.h>
#include <ebb/tensor/io/file_types.h>
#include <ebb/tensor/io/safetensors.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

namespace ebb {

namespace {

using nlohmann::json;

constexpr std::uint64_t max_header = 100'000'000;

// What the header says of one tensor.
struct Entry {
  std::string name;
  FileType type;
  Shape shape;
  std::uint64_t begin, end;
};

constexpr std::string_view mend = "write or download the file again";

// nlohmann keeps the last of two equal keys; the reference parser refuses them.
json parse_header(const std::string& path, const std::string& text) {
  std::vector<std::set<std::string>> keys;
  const auto refuse_repeats = [&](int depth, json::parse_event_t event, json& value) {
    using Event = json::parse_event_t;
    check(depth < 16, "{}: the header is nested too deeply; {}", path, mend);
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end) keys.pop_back();
    if (event == Event::key)
      check(keys.back().insert(value.get<std::string>()).second,
            "{}: the header has the key {:?} twice; {}", path, value.get<std::string>(), mend);
    return true;
  };
  try {
    return json::parse(text, refuse_repeats);
  } catch (const json::exception& e) {
    const auto* parse_error = dynamic_cast<const json::parse_error*>(&e);
    fail("{}: the header is no JSON (byte {}); is this a safetensors file?", path,
         parse_error ? parse_error->byte : 0);
  }
}

std::uint64_t unsigned_in(const std::string& path, const std::string& name, const json& value) {
  check(value.is_number_unsigned(), "{}: tensor {:?} has {} where a size belongs; {}", path, name,
        value.dump(-1, ' ', true), mend);
  return value.get<std::uint64_t>();
}

Shape parse_shape(const std::string& path, const std::string& name, const json& sizes,
                  std::size_t width) {
  std::vector<std::int64_t> result;
  std::uint64_t bytes = width;
  for (const json& value : sizes) {
    const std::uint64_t size = unsigned_in(path, name, value);
    check(size <= INT64_MAX && !__builtin_mul_overflow(bytes, size, &bytes) && bytes <= INT64_MAX,
          "{}: the sizes of tensor {:?} overflow; {}", path, name, mend);
    result.push_back(static_cast<std::int64_t>(size));
  }
  check(result.size() <= Shape::max_rank,
        "{}: tensor {:?} has {} dimensions, at most {} are "
        "supported; reshape it before saving",
        path, name, result.size(), Shape::max_rank);
  return Shape(result);
}

Entry parse_entry(const std::string& path, const std::string& name, const json& info) {
  const auto member = [&](const char* key, json::value_t type) -> const json& {
    const bool good = info.is_object() && info.contains(key) && info[key].type() == type;
    check(good, "{}: tensor {:?} has no valid {:?} in the header; {}", path, name, key, mend);
    return info[key];
  };
  const std::string dtype = member("dtype", json::value_t::string).get<std::string>();
  const FileType* type = find_file_type(&FileType::safetensors, dtype);
  check(type != nullptr, "{}: tensor {:?} has type {:?}; convert it to F32, F64 or I64", path, name,
        dtype);
  const Shape shape = parse_shape(path, name, member("shape", json::value_t::array), type->width);
  const json& offsets = member("data_offsets", json::value_t::array);
  check(offsets.size() == 2, "{}: tensor {:?} has {} data_offsets instead of 2; {}", path, name,
        offsets.size(), mend);
  const std::uint64_t begin = unsigned_in(path, name, offsets[0]);
  const std::uint64_t end = unsigned_in(path, name, offsets[1]);
  const auto bytes = static_cast<std::uint64_t>(shape.numel()) * type->width;
  check(begin <= end && end - begin == bytes,
        "{}: tensor {:?}, {} {}, needs {} bytes and its data_offsets are [{}, {}]; {}", path, name,
        dtype, shape, bytes, begin, end, mend);
  return {name, *type, shape, begin, end};
}

std::map<std::string, std::string> parse_metadata(const std::string& path, const json& values) {
  std::map<std::string, std::string> result;
  if (values.is_null()) return result;  // the reference parser's word for none
  check(values.is_object(), "{}: __metadata__ is no object; {}", path, mend);
  for (const auto& [key, value] : values.items()) {
    check(value.is_string(), "{}: __metadata__ {:?} is no string; {}", path, key, mend);
    result[key] = value.get<std::string>();
  }
  return result;
}

// Sorted by their data, which must follow one another from 0 to `data_bytes`.
void check_layout(const std::string& path, std::vector<Entry>& entries, std::uint64_t data_bytes) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  std::uint64_t at = 0;
  for (const Entry& e : entries) {
    check(e.begin == at, "{}: the data of tensor {:?} begins at {} and should at {} ({}); {}", path,
          e.name, e.begin, at, e.begin < at ? "overlap" : "hole", mend);
    at = e.end;
  }
  check(at <= data_bytes, "{}: truncated: the header needs {} bytes of data, {} are there; {}",
        path, at, data_bytes, mend);
  check(at == data_bytes, "{}: {} bytes follow the last tensor; {}", path, data_bytes - at, mend);
}

}  // namespace

bool Safetensors::contains(std::string_view name) const {
  return std::any_of(tensors.begin(), tensors.end(),
                     [&](const NamedTensor& t) { return t.name == name; });
}

const Tensor& Safetensors::operator[](std::string_view name) const {
  for (const NamedTensor& t : tensors)
    if (t.name == name) return t.tensor;
  fail("safetensors: no tensor named {:?} among {}", name, tensors.size());
}

Safetensors read_safetensors(const std::string& path) {
  InputFile file(path);
  check(file.size() >= 8, "{}: {} bytes are too short for a safetensors file; {}", path,
        file.size(), mend);
  std::uint64_t length = 0;
  file.read(&length, 8);
  check(length <= max_header,
        "{}: the header would have {} bytes, at most {} are allowed; is this "
        "a safetensors file?",
        path, length, max_header);
  check(length <= file.size() - 8, "{}: truncated: the header has {} bytes, {} are there; {}", path,
        length, file.size() - 8, mend);
  std::string text(length, '\0');
  file.read(text.data(), length);
  // nlohmann takes a zero byte for the end.
  check(text.starts_with('{') && text.find('\0') == std::string::npos,
        "{}: the header is no JSON object; is this a safetensors file?", path);

  Safetensors result;
  std::vector<Entry> entries;
  const json header = parse_header(path, text);
  for (const auto& [name, info] : header.items()) {
    if (name == "__metadata__")
      result.metadata = parse_metadata(path, info);
    else
      entries.push_back(parse_entry(path, name, info));
  }
  check_layout(path, entries, file.size() - 8 - length);
  for (const Entry& entry : entries)
    result.tensors.push_back({entry.name, read_elements(file, entry.type, entry.shape)});
  return result;
}

void write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<NamedTensor> ordered = tensors;
  std::set<std::string_view> names;
  for (const NamedTensor& t : ordered) {
    check(t.tensor.defined(), "{}: tensor {:?} is undefined; leave it out", path, t.name);
    check(t.name != "__metadata__", "{}: no tensor can be named __metadata__; rename it", path);
    check(names.insert(t.name).second, "{}: two tensors are named {:?}; rename one", path, t.name);
  }
  std::stable_sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) {
    return size_of(a.tensor.dtype()) > size_of(b.tensor.dtype());
  });

  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t at = 0;
  for (const NamedTensor& t : ordered) {
    const std::uint64_t end = at + t.tensor.bytes();
    header[t.name] = {{"dtype", file_type_of(t.tensor.dtype()).safetensors},
                      {"shape", t.tensor.shape().vector()},
                      {"data_offsets", {at, end}}};
    at = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const json::exception&) {
    fail("{}: a name or the metadata is not UTF-8; rename it", path);
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  check(length <= max_header,
        "{}: the header would have {} bytes, at most {} are allowed; shorten "
        "the names or the metadata",
        path, length, max_header);

  AtomicFile file(path);
  file.write(&length, 8);
  file.write(text.data(), text.size());
  for (const NamedTensor& t : ordered) {
    const Tensor host = t.tensor.to(Device::cpu);
    file.write(host.raw(), host.bytes());
  }
  file.commit();
}

}  // namespace ebb
