// doctest's CAPTURE for a name of a structured binding, which clang 14 takes into no lambda.
#pragma once

#include <doctest/doctest.h>

#define CAPTURE_BINDING(name)         \
  const auto& captured_##name = name; \
  CAPTURE(captured_##name)
