// Every layer.
#pragma once

#include <ebb/nn/layers/conv2d.h>
#include <ebb/nn/layers/embedding.h>
#include <ebb/nn/layers/linear.h>
#include <ebb/nn/layers/multihead_attention.h>
#include <ebb/nn/layers/normalization.h>
#include <ebb/nn/layers/sequential.h>
