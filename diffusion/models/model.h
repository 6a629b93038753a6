// Model: what every network that denoises looks like from outside.
//
// A network maps noised images, their times and their classes to a prediction of the images'
// size; what the prediction means (noise, image, velocity) is settled by prediction.h, not here.
#pragma once

#include <ebb/nn/module.h>

namespace ebb {

class Model {
 public:
  virtual ~Model() = default;

  // x (N, H, W, C) float32; t (N) float32, timesteps, real-valued ones included; labels (N) int64
  // in [0, num_classes()], where num_classes() itself is the null class ("no class given", for
  // guidance), or undefined, which means the null class for all. A model without classes
  // (num_classes() == 0) takes undefined labels only. A label out of range is an Error.
  // Result: (N, H, W, C'), where C' is C, or 2 C for models that also predict a variance.
  //
  // Row i depends on row i of the inputs alone, to the last bit.
  virtual Variable operator()(const Variable& x, const Tensor& t, const Tensor& labels) const = 0;

  // Names the parameters (nn/module.h).
  virtual void visit(Visitor& visitor) = 0;

  virtual std::int64_t num_classes() const { return 0; }
  // A model with classes may lack the null class, if it was trained without: labels must be given
  // then, and there is nothing to guide from.
  virtual bool has_null_class() const { return num_classes() > 0; }
};

}  // namespace ebb
