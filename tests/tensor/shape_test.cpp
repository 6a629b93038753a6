#include <doctest/doctest.h>
#include <ebb/tensor/shape.h>

using namespace ebb;

TEST_SUITE("shape") {
  TEST_CASE("counts, strides and printing") {
    const Shape s{4, 3, 5};
    CHECK(s.numel() == 60);
    CHECK(s.strides()[0] == 15);
    CHECK(s.strides()[2] == 1);
    CHECK(s[-1] == 5);
    CHECK(s.str() == "(4, 3, 5)");
    CHECK(Shape{7}.str() == "(7,)");
    CHECK(Shape{}.str() == "()");
    CHECK(Shape{}.numel() == 1);
    CHECK(Shape{0, INT64_MAX, INT64_MAX}.numel() == 0);
    CHECK(s.without(1) == Shape{4, 5});
    CHECK(s.with(-1, 2) == Shape{4, 3, 5, 2});
  }

  TEST_CASE("sizes that are none, or too many, are refused") {
    CHECK_THROWS_WITH(Shape({2, -1}),
                      "shape: size -1 of dimension 1 is negative; sizes are 0 or more");
    CHECK_THROWS_AS(Shape({1, 1, 1, 1, 1, 1, 1, 1, 1}), Error);
    CHECK_THROWS_AS(Shape({INT64_MAX / 2, 3}), Error);
    CHECK_THROWS_AS(Shape({INT64_MAX / 2}), Error);
    CHECK_THROWS_AS((Shape{2, 3}[2]), Error);
    CHECK_THROWS_AS((Shape{2, 3}[-3]), Error);
  }

  TEST_CASE("broadcasting follows NumPy") {
    CHECK(broadcast_shapes("add", {4, 1, 3}, {5, 1}) == Shape{4, 5, 3});
    CHECK(broadcast_shapes("add", {}, {2, 2}) == Shape{2, 2});
    CHECK(broadcast_shapes("add", {0, 3}, {1, 3}) == Shape{0, 3});
    CHECK_THROWS_WITH(broadcast_shapes("add", {2, 3}, {4, 3}),
                      "add: shapes (2, 3) and (4, 3) do not broadcast: sizes 2 and 4 differ and "
                      "neither is 1; reshape one of them");
  }
}
