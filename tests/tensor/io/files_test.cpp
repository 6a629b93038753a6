// Files that are written whole or not at all, and read only where they are files.
#include <doctest/doctest.h>
#include <ebb/tensor/error.h>
#include <ebb/tensor/io/atomic_file.h>
#include <ebb/tensor/io/input_file.h>
#include <ebb/tensor/io/npy.h>
#include <ebb/tensor/ops/layout.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/temporary_folder.h"

namespace ebb::test {
namespace files {

namespace fs = std::filesystem;

unsigned mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

std::size_t names_in(const TemporaryFolder& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()));
}

}  // namespace files

TEST_CASE("AtomicFile: the permissions of the old file are those of the new") {
  const TemporaryFolder folder;
  const std::string path = folder / "a";
  for (const unsigned mode : {0600u, 0640u, 0644u, 0666u, 0400u}) {
    CAPTURE(mode);
    write_file(path, "old");
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    write_file(path, "new");
    CHECK(files::mode_of(path) == mode);
    CHECK(contents_of(path) == "new");
    REQUIRE(::chmod(path.c_str(), 0600) == 0);
  }
}

TEST_CASE("AtomicFile: its temporary name is new each time and leads nowhere else") {
  const TemporaryFolder folder;
  const std::string path = folder / "a";
  const std::string one = temporary_name(path), other = temporary_name(path);
  CHECK(one != other);
  CHECK(is_temporary(one));
  for (const char* name : {"a", "a.part", "a.part-", "a.part-123", "a.part-0123456789abcdeg",
                           "a.part-0123456789abcdef0", "part-0123456789abcdef"})
    CHECK_FALSE(is_temporary(name));
  {
    AtomicFile file(path);
    file.write("x", 1);
    CHECK(files::names_in(folder) == 1);
  }
  CHECK(files::names_in(folder) == 0);
}

TEST_CASE("AtomicFile: a symbolic link is followed to the file that it names") {
  const TemporaryFolder folder;
  write_file(folder / "target", "old");
  std::filesystem::create_symlink(folder / "target", folder / "link");
  write_file(folder / "link", "new");
  CHECK(std::filesystem::is_symlink(folder / "link"));
  CHECK(contents_of(folder / "target") == "new");
}

TEST_CASE("InputFile: what is no regular file is refused and not waited for") {
  const TemporaryFolder folder;
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  for (const std::string& path :
       {folder / "pipe", std::string("/dev/null"), folder.path().string(), folder / "none"}) {
    CAPTURE(path);
    CHECK_THROWS_AS(InputFile{path}, Error);
  }
  write_file(folder / "a", "0123456789");
  CHECK(read_file(folder / "a") == "0123456789");
  CHECK_THROWS_AS(read_file(folder / "a", 9), Error);
  InputFile file(folder / "a");
  char bytes[8];
  file.read(bytes, 8);
  CHECK(file.left() == 2);
  CHECK_THROWS_WITH_AS(file.read(bytes, 3), doctest::Contains("3 bytes are needed at 8"), Error);
}

TEST_CASE("NpyWriter: pieces make the file of the whole") {
  const TemporaryFolder folder;
  const Tensor x = Tensor::arange(30).to(DType::float32).reshape({5, 2, 3});
  write_npy(folder / "whole.npy", x);
  {
    NpyWriter file(folder / "pieces.npy", x.shape());
    file.append(slice(x, 0, 0, 2));
    CHECK_THROWS_AS(file.append(Tensor::zeros({1, 3, 2})), Error);
    CHECK_THROWS_AS(file.append(Tensor::zeros({4, 2, 3})), Error);
    CHECK_THROWS_AS(file.append(Tensor::zeros({1, 2, 3}, DType::float64)), Error);
    CHECK_THROWS_AS(file.commit(), Error);
    file.append(slice(x, 0, 2, 5));
    file.commit();
  }
  CHECK(contents_of(folder / "pieces.npy") == contents_of(folder / "whole.npy"));
  { NpyWriter left(folder / "left.npy", {2}); }
  CHECK_FALSE(std::filesystem::exists(folder / "left.npy"));
}

}  // namespace ebb::test
