#include <doctest/doctest.h>
#include <ebb/tensor/io/npy.h>

#include <fstream>

#include "tests/temporary_folder.h"

namespace {

using namespace ebb;
using ebb::test::contents_of;
using ebb::test::TemporaryFolder;

// A file of the given version with this header and data.
std::string npy(const std::string& header, const std::string& data, char version = 1) {
  std::string result = std::string("\x93NUMPY") + version + '\0';
  result += static_cast<char>(header.size() & 0xff);
  result += static_cast<char>(header.size() >> 8);
  if (version > 1) result += std::string(2, '\0');
  return result + header + data;
}

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

TEST_SUITE("npy") {
  TEST_CASE("the bytes are those of numpy.save") {
    TemporaryFolder folder;
    const std::vector<float> values{1, 2, 3, 4, 5, 6};
    write_npy(folder / "a.npy", Tensor::from(values, {3, 2}));
    std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }";
    header.resize(117, ' ');
    CHECK(contents_of(folder / "a.npy") == npy(header + "\n", bytes_of(values)));
  }

  TEST_CASE("every type, rank 0 and zero-size arrays come back") {
    TemporaryFolder folder;
    const std::string path = folder / "a.npy";
    const auto round_trip = [&](const Tensor& t) {
      write_npy(path, t);
      const Tensor back = read_npy(path);
      CHECK(back.shape() == t.shape());
      CHECK(back.dtype() == t.dtype());
      CHECK(back.to_vector<double>() == t.to_vector<double>());
      CHECK(contents_of(path).find('\n') % 64 == 63);
    };
    round_trip(Tensor::from(std::vector<double>{0.1, -1e300}, {1, 2, 1}));
    round_trip(Tensor::from(std::vector<std::int64_t>{-5, 1LL << 40}));
    round_trip(Tensor::scalar(7));
    round_trip(Tensor::zeros({3, 0, 2}));
    round_trip(Tensor::ones({1, 1, 1, 1, 1, 1, 1, 2}));
  }

  TEST_CASE("other versions, quotes, types and Fortran order are read") {
    TemporaryFolder folder;
    const std::string path = folder / "a.npy";
    const auto read = [&](const std::string& bytes) {
      std::ofstream(path, std::ios::binary) << bytes;
      return read_npy(path);
    };
    const std::string two = R"({"shape":(2,),"descr":"<i8","fortran_order":False})";
    const std::string data = bytes_of(std::vector<std::int64_t>{3, -4});
    for (const char version : {1, 2, 3})
      CHECK(read(npy(two, data, version)).to_vector<std::int64_t>() ==
            std::vector<std::int64_t>{3, -4});
    CHECK(read(npy("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 1), }\n", "\xff\x01"))
              .to_vector<std::int64_t>() == std::vector<std::int64_t>{255, 1});
    // [[0, 1, 2], [3, 4, 5]] with its columns one after another.
    const Tensor fortran = read(npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3)}",
                                    bytes_of(std::vector<float>{0, 3, 1, 4, 2, 5})));
    CHECK(fortran.shape() == Shape{2, 3});
    CHECK(fortran.to_vector<float>() == std::vector<float>{0, 1, 2, 3, 4, 5});
    const Tensor cube = read(npy("{'descr': '<i8', 'fortran_order': True, 'shape': (2, 1, 2)}",
                                 bytes_of(std::vector<std::int64_t>{0, 2, 1, 3})));
    CHECK(cube.to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 1, 2, 3});
  }

  TEST_CASE("malformed files are refused with the cause") {
    TemporaryFolder folder;
    const std::string path = folder / "bad.npy";
    const auto header = [](const std::string& descr, const std::string& order,
                           const std::string& shape) {
      return "{'descr': " + descr + ", 'fortran_order': " + order + ", 'shape': " + shape + "}";
    };
    const struct {
      std::string bytes, cause;
    } cases[] = {
        {"", "0 bytes are too short"},
        {"\x93NUMPXabcdefgh", "does not begin"},
        {npy("{}", "", 4), "version 4"},
        {std::string("\x93NUMPY\1\0\xff\0{}", 12), "truncated: the header has 255 bytes"},
        {npy("", ""), "needs '{' at byte 0"},
        {npy("{", ""), "needs ''' at byte 1"},
        {npy("{}", ""), "0 keys instead of 3"},
        {npy("{'a\n': 1}", ""), "unknown key \"a\\n\""},
        {npy("{'descr': '<f4', 'shape': (1,)}", "1234"), "2 keys instead of 3"},
        {npy(header("'<f4", "False", "(1,)"), "1234"), "needs"},
        {npy(header("[('a', '<f4')]", "False", "(1,)"), "1234"), "needs ''' at byte 10"},
        {npy(header("'>f4'", "False", "(1,)"), "1234"), "type \">f4\""},
        {npy(header("'|O'", "False", "(1,)"), "1234"), "type \"|O\""},
        {npy(header("''", "False", "(1,)"), "1234"), "type \"\""},
        {npy(header("'<f4'", "0", "(1,)"), "1234"), "neither True nor False"},
        {npy(header("'<f4'", "False", "(-1,)"), "1234"), "no size at byte"},
        {npy(header("'<f4'", "False", "(1"), "1234"), "needs ')'"},
        {npy(header("'<f4'", "False", "(99999999999999999999,)"), "1234"), "no size at byte"},
        {npy(header("'<f4'", "False", "(4294967296, 4294967296)"), ""), "overflow"},
        {npy(header("'<f4'", "False", "(2,)"), "1234567"),
         "7 bytes of data where the shape needs 8"},
        {npy(header("'<f4'", "False", "(2,)"), "123456789"), "9 bytes of data"},
        {npy(header("'<f4'", "False", "(1,1,1,1,1,1,1,1,1)"), "1234"), "9 dimensions"},
    };
    for (const auto& entry : cases) {
      const std::string &bytes = entry.bytes, &cause = entry.cause;
      std::ofstream(path, std::ios::binary) << bytes;
      CAPTURE(cause);
      std::string message = "no error";
      try {
        read_npy(path);
      } catch (const Error& e) {
        message = e.what();
      }
      CAPTURE(message);
      CHECK(message.find(cause) != std::string::npos);
      CHECK(message.rfind(path + ": ", 0) == 0);
      CHECK(message.find('\n') == std::string::npos);
    }
    CHECK_THROWS_AS(read_npy(folder / "absent"), Error);
    CHECK_THROWS_AS(write_npy(folder / "a", Tensor()), Error);
  }
}

}  // namespace
