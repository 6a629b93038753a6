#include <doctest/doctest.h>
#include <ebb/tensor/io/safetensors.h>
#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <cstring>
#include <fstream>
#include <limits>
#include <sstream>

#include "tests/temporary_folder.h"

namespace {

using namespace ebb;
using ebb::test::contents_of;
using ebb::test::TemporaryFolder;

void put(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string with_length(const std::string& header, const std::string& data = "") {
  const std::uint64_t length = header.size();
  std::string result(8, '\0');
  std::memcpy(result.data(), &length, 8);
  return result + header + data;
}

std::string error_of(const std::string& path) {
  try {
    read_safetensors(path);
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST_SUITE("safetensors") {
  TEST_CASE("what is written is read back, metadata included") {
    TemporaryFolder folder;
    const std::string path = folder / "a.safetensors";
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const std::vector<float> floats{1.5f, -0.0f, nan, 1e-45f, 3.4e38f};
    write_safetensors(path,
                      {{"odd", Tensor::from(floats, {1, 5})},
                       {"d", Tensor::from(std::vector<double>{0.1, -1e300})},
                       {"i", Tensor::from(std::vector<std::int64_t>{INT64_MIN, INT64_MAX}, {2, 1})},
                       {"scalar", Tensor::scalar(7)},
                       {"none", Tensor::zeros({3, 0, 2})},
                       {"é \"\\\n", Tensor::ones({1})}},
                      {{"kind", "ema"}, {"more", "ü"}});
    const Safetensors file = read_safetensors(path);
    CHECK(file.metadata == std::map<std::string, std::string>{{"kind", "ema"}, {"more", "ü"}});
    REQUIRE(file.tensors.size() == 6);
    CHECK(file["odd"].shape() == Shape{1, 5});
    CHECK(std::memcmp(file["odd"].data<float>(), floats.data(), 20) == 0);
    CHECK(file["d"].to_vector<double>() == std::vector<double>{0.1, -1e300});
    CHECK(file["i"].shape() == Shape{2, 1});
    CHECK(file["i"].to_vector<std::int64_t>() == std::vector<std::int64_t>{INT64_MIN, INT64_MAX});
    CHECK(file["scalar"].rank() == 0);
    CHECK(file["scalar"].item() == 7);
    CHECK(file["none"].shape() == Shape{3, 0, 2});
    CHECK(file.contains("é \"\\\n"));
    CHECK_FALSE(file.contains("e"));
    CHECK_THROWS_WITH(file["e"], "safetensors: no tensor named \"e\" among 6");
  }

  TEST_CASE("the same tensors give the same bytes, 8-byte types first, all aligned") {
    TemporaryFolder folder;
    const std::vector<NamedTensor> tensors{{"b", Tensor::ones({1})},
                                           {"a", Tensor::ones({2}, DType::float64)}};
    write_safetensors(folder / "1", tensors);
    write_safetensors(folder / "2", tensors);
    const std::string bytes = contents_of(folder / "1");
    CHECK(bytes == contents_of(folder / "2"));
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), 8);
    CHECK(length % 8 == 0);
    CHECK(bytes.size() == 8 + length + 20);
    CHECK(read_safetensors(folder / "1").tensors[0].name == "a");
  }

  TEST_CASE("no tensors at all is a file") {
    TemporaryFolder folder;
    write_safetensors(folder / "0", {});
    CHECK(read_safetensors(folder / "0").tensors.empty());
    put(folder / "1", with_length("{}"));
    CHECK(read_safetensors(folder / "1").tensors.empty());
    put(folder / "2", with_length(R"({"z":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},)"
                                  R"("y":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}} )",
                                  "1234"));
    CHECK(read_safetensors(folder / "2").tensors.size() == 2);
  }

  TEST_CASE("other types are read as the nearest of ours") {
    TemporaryFolder folder;
    const std::string path = folder / "t";
    const auto read = [&](const std::string& dtype, const std::string& count,
                          const std::string& data) {
      put(path, with_length(R"({"t":{"dtype":")" + dtype + R"(","shape":[)" + count +
                                R"(],"data_offsets":[0,)" + std::to_string(data.size()) + "]}}",
                            data));
      return read_safetensors(path)["t"];
    };
    using Floats = std::vector<float>;
    using Integers = std::vector<std::int64_t>;
    // 1, -2, the largest, the least normal and subnormal halves, infinity.
    const std::uint16_t halves[] = {0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0xfc00};
    const Tensor half = read("F16", "6", std::string(reinterpret_cast<const char*>(halves), 12));
    CHECK(half.to_vector<float>() ==
          Floats{1, -2, 65504, 0x1p-14f, 0x1p-24f, -std::numeric_limits<float>::infinity()});
    CHECK(std::isnan(read("F16", "1", "\x01\x7e").item()));
    const std::uint16_t bfloats[] = {0x3f80, 0xc040, 0x7f80};
    CHECK(read("BF16", "3", std::string(reinterpret_cast<const char*>(bfloats), 6))
              .to_vector<float>() == Floats{1, -3, std::numeric_limits<float>::infinity()});
    const std::string ff01 = "\xff\x01";
    CHECK(read("U8", "2", ff01).to_vector<std::int64_t>() == Integers{255, 1});
    CHECK(read("I8", "2", ff01).to_vector<std::int64_t>() == Integers{-1, 1});
    CHECK(read("BOOL", "2", std::string("\0\1", 2)).to_vector<std::int64_t>() == Integers{0, 1});
    CHECK(read("BOOL", "2", "\xff\x02").to_vector<std::int64_t>() == Integers{1, 1});
    CHECK(read("U16", "1", "\xff\xff").to_vector<std::int64_t>() == Integers{65535});
    CHECK(read("I16", "1", "\xff\xff").to_vector<std::int64_t>() == Integers{-1});
    CHECK(read("U32", "1", "\xff\xff\xff\xff").to_vector<std::int64_t>() == Integers{4294967295});
    CHECK(read("I32", "1", "\xfe\xff\xff\xff").to_vector<std::int64_t>() == Integers{-2});
  }

  TEST_CASE("metadata may be null, as the reference parser has it") {
    TemporaryFolder folder;
    put(folder / "x", with_length(R"({"__metadata__":null})"));
    CHECK(read_safetensors(folder / "x").metadata.empty());
  }

  TEST_CASE("malformed files are refused with the cause") {
    TemporaryFolder folder;
    const std::string good = R"({"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
    const auto one = [](const std::string& info) { return with_length("{\"t\":" + info + "}"); };
    const auto two = [](const std::string& first, const std::string& second,
                        const std::string& data) {
      return with_length(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":)" + first +
                             R"(},"b":{"dtype":"F32","shape":[2],"data_offsets":)" + second + "}}",
                         data);
    };
    const std::string data8(8, 'x'), data16(16, 'x'), data20(20, 'x');
    std::string huge = with_length(good, data8), past = huge, over = huge;
    huge.replace(0, 8, std::string(8, '\xff'));
    past[0] = 127;
    const std::uint64_t too_long = 100'000'001;
    std::memcpy(over.data(), &too_long, 8);
    const struct {
      std::string bytes, cause;
    } cases[] = {
        {"", "0 bytes are too short"},
        {"1234567", "7 bytes are too short"},
        {huge, "header would have 18446744073709551615 bytes"},
        {over, "header would have 100000001 bytes"},
        {past, "truncated: the header has 127 bytes"},
        {std::string(8, '\0'), "no JSON object"},
        {with_length("[1]"), "no JSON object"},
        {with_length(" {}"), "no JSON object"},
        {with_length("{"), "no JSON"},
        {with_length("{} x"), "no JSON"},
        {with_length("{\"a\xff\":1}"), "no JSON"},
        {with_length("{\"a\xc0\x80\":1}"), "no JSON"},
        {with_length(std::string("{}\0", 3)), "no JSON object"},
        {with_length("{\"a\":" + std::string(5000, '[') + std::string(5000, ']') + "}"),
         "nested too deeply"},
        {with_length(R"({"t":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},)"
                     R"("t":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}})"),
         R"(key "t" twice)"},
        {one(R"({"dtype":"F32","dtype":"F32","shape":[0],"data_offsets":[0,0]})"),
         R"(key "dtype" twice)"},
        {with_length(R"({"__metadata__":{"a":"1","a":"2"}})"), R"(key "a" twice)"},
        {with_length(R"({"__metadata__":{"a":1}})"), R"(__metadata__ "a" is no string)"},
        {with_length(R"({"__metadata__":["a"]})"), "__metadata__ is no object"},
        {with_length(R"({"__metadata__":"a"})"), "__metadata__ is no object"},
        {with_length(R"({"a\nb\u001b":3})"), R"(tensor "a\nb\x1b" has no valid)"},
        {one("3"), R"(no valid "dtype")"},
        {one(R"({"shape":[0],"data_offsets":[0,0]})"), R"(no valid "dtype")"},
        {one(R"({"dtype":7,"shape":[0],"data_offsets":[0,0]})"), R"(no valid "dtype")"},
        {one(R"({"dtype":"F33","shape":[0],"data_offsets":[0,0]})"), "type \"F33\""},
        {one(R"({"dtype":"F32","data_offsets":[0,0]})"), R"(no valid "shape")"},
        {one(R"({"dtype":"F32","shape":{"a":1},"data_offsets":[0,0]})"), R"(no valid "shape")"},
        {one(R"({"dtype":"F32","shape":[-1],"data_offsets":[0,0]})"), "has -1 where a size"},
        {one(R"({"dtype":"F32","shape":[1.0],"data_offsets":[0,4]})"), "has 1.0 where a size"},
        {one(R"({"dtype":"F32","shape":["1"],"data_offsets":[0,4]})"), "has \"1\" where a size"},
        {one(R"({"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]})"),
         R"(sizes of tensor "t" overflow)"},
        {one(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]})"),
         R"(sizes of tensor "t" overflow)"},
        {one(R"({"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,0]})"),
         "where a size"},
        {one(R"({"dtype":"F32","shape":[1,1,1,1,1,1,1,1,0],"data_offsets":[0,0]})"),
         "has 9 dimensions"},
        {one(R"({"dtype":"F32","shape":[0]})"), R"(no valid "data_offsets")"},
        {one(R"({"dtype":"F32","shape":[0],"data_offsets":[0]})"), "1 data_offsets"},
        {one(R"({"dtype":"F32","shape":[0],"data_offsets":[0,-4]})"), "has -4"},
        {one(R"({"dtype":"F32","shape":[1],"data_offsets":[8,4]})"), "are [8, 4]"},
        {one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})") + "1234", "needs 8 bytes"},
        {with_length(good, "1234567"), "truncated: the header needs 8 bytes of data, 7"},
        {with_length(good, "123456789"), "1 bytes follow the last tensor"},
        {with_length("{}", "1"), "1 bytes follow the last tensor"},
        {two("[0,8]", "[12,20]", data20), R"x("b" begins at 12 and should at 8 (hole))x"},
        {two("[4,12]", "[12,20]", data20), R"x("a" begins at 4 and should at 0 (hole))x"},
        {two("[0,8]", "[4,12]", data16), R"x("b" begins at 4 and should at 8 (overlap))x"},
        {two("[0,8]", "[0,8]", data8), R"x("b" begins at 0 and should at 8 (overlap))x"},
    };
    const std::string path = folder / "bad.safetensors";
    for (const auto& entry : cases) {
      const std::string &bytes = entry.bytes, &cause = entry.cause;
      CAPTURE(cause);
      put(path, bytes);
      const std::string message = error_of(path);
      CAPTURE(message);
      CHECK(message.find(cause) != std::string::npos);
      CHECK(message.rfind(path + ": ", 0) == 0);
      CHECK(message.find('\n') == std::string::npos);
    }
    CHECK(error_of(folder / "absent").find("No such file") != std::string::npos);
    CHECK(error_of(folder.path().string()).find("it is a folder") != std::string::npos);
  }

  TEST_CASE("every shortened file is refused") {
    TemporaryFolder folder;
    write_safetensors(folder / "whole", {{"a", Tensor::ones({3})}, {"b", Tensor::ones({2})}});
    const std::string whole = contents_of(folder / "whole");
    for (std::size_t length = 0; length < whole.size(); ++length) {
      put(folder / "cut", whole.substr(0, length));
      CHECK_THROWS_AS(read_safetensors(folder / "cut"), Error);
    }
  }

  TEST_CASE("tensors that no file can hold are refused before anything is written") {
    TemporaryFolder folder;
    const std::string path = folder / "kept";
    put(path, "kept");
    const Tensor t = Tensor::ones({1});
    CHECK_THROWS_WITH(write_safetensors(path, {{"a", t}, {"a", t}}),
                      (path + ": two tensors are named \"a\"; rename one").c_str());
    CHECK_THROWS_AS(write_safetensors(path, {{"a", Tensor()}}), Error);
    CHECK_THROWS_AS(write_safetensors(path, {{"__metadata__", t}}), Error);
    CHECK_THROWS_AS(write_safetensors(path, {{"a\xff", t}}), Error);
    CHECK_THROWS_AS(write_safetensors(path, {{"a", t}}, {{"b", "\xff"}}), Error);
    CHECK(contents_of(path) == "kept");
  }

  TEST_CASE("a full disk is one clear error") {
    if (!std::filesystem::exists("/dev/full")) return;
    CHECK_THROWS_WITH_AS(write_safetensors("/dev/full", {{"a", Tensor::ones({1})}}),
                         doctest::Contains("/dev/full: cannot write it: No space left on device"),
                         Error);
    CHECK(std::filesystem::is_character_file("/dev/full"));
  }

  TEST_CASE("a disk that fills up on the way leaves the old file and nothing else") {
    TemporaryFolder folder;
    const std::string path = folder / "weights";
    write_safetensors(path, {{"a", Tensor::ones({3})}});
    const std::string before = contents_of(path);
    // The largest file that the system allows stands for the free space.
    rlimit old_limit;
    ::getrlimit(RLIMIT_FSIZE, &old_limit);
    const auto old_handler = ::signal(SIGXFSZ, SIG_IGN);
    const rlimit low{10'000, old_limit.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &low);
    std::string message = "no error";
    try {
      write_safetensors(path, {{"a", Tensor::ones({5000})}});
    } catch (const Error& e) {
      message = e.what();
    }
    ::setrlimit(RLIMIT_FSIZE, &old_limit);
    ::signal(SIGXFSZ, old_handler);
    CHECK(message == path +
                         ": cannot write it: File too large; choose another place (an earlier file "
                         "of that name is unchanged)");
    CHECK(contents_of(path) == before);
    CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
  }

  TEST_CASE("a file that cannot be written leaves the old one and nothing else") {
    TemporaryFolder folder;
    CHECK_THROWS_WITH_AS(write_safetensors(folder / "no/such/place", {}),
                         doctest::Contains("create its folder first"), Error);
    const std::string path = folder / "link";
    put(folder / "real", "old");
    std::filesystem::create_symlink(folder / "real", path);
    write_safetensors(path, {{"a", Tensor::ones({1})}});
    CHECK(std::filesystem::is_symlink(path));
    CHECK(read_safetensors(folder / "real").tensors.size() == 1);
    CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 2);
  }
}

}  // namespace
