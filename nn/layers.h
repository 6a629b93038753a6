// Every layer.
#pragma once

#include <ebb/nn/attention.h>
#include <ebb/nn/conv.h>
#include <ebb/nn/embedding.h>
#include <ebb/nn/linear.h>
#include <ebb/nn/norm.h>
#include <ebb/nn/sequential.h>
