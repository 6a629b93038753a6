// Model: what every network that denoises looks like from outside.
//
// A network maps noised images, their times and what it is told of them to a prediction of their
// size; what that means (noise, image, velocity) is settled by prediction.h, not here.
#pragma once

#include <ebb/diffusion/schedules/prediction.h>
#include <ebb/nn/conditioning.h>
#include <ebb/nn/module.h>

#include <string>
#include <vector>

namespace ebb {

// What is drawn from a network: images of its data, or latents.
struct SampleSpec {
  std::int64_t height = 0, width = 0, channels = 0;
  Clip clip = {Clip::Kind::range};  // the range of the data

  Shape shape(std::int64_t count) const { return {count, height, width, channels}; }
};

class Model {
 public:
  virtual ~Model() = default;

  // x (N, H, W, C) float32; t (N) float32, timesteps, real-valued ones included; labels in
  // [0, num_classes()], where num_classes() itself is the null class ("no class given", for
  // guidance), or undefined, which means the null class for all. What the model cannot be told, as
  // labels where num_classes() is 0, is an Error, and so is a label out of range.
  // Result: (N, H, W, C'), where C' is C, or 2 C for models that also predict a variance.
  //
  // Row i depends on row i of the inputs alone, to the last bit.
  virtual Variable operator()(const Variable& x, const Tensor& t,
                              const Conditioning& given) const = 0;

  // Names the parameters (nn/module.h).
  virtual void visit(Visitor& visitor) = 0;

  virtual std::int64_t num_classes() const { return 0; }
  // Whether it can be told nothing. A model with classes may lack the null class, if it was trained
  // without: labels must be given then, and there is nothing to guide from.
  virtual bool has_null_class() const { return num_classes() > 0; }

  // The part of `all` that it can be told: by default labels, where it has classes.
  virtual Conditioning understood(const Conditioning& all) const;
  // Nothing, as it is told for `count` samples: by default the null class. What to guide from, and
  // what dropout puts in the place of a condition. An Error if the model never learned it.
  virtual Conditioning null_conditioning(std::int64_t count, Device device = Device::cpu) const;

  // The conditioning of captions, one a sample; an Error if this network knows no text.
  virtual Conditioning told(const std::vector<std::string>& captions) const;
  // `given` with all that does not hang on x and t worked out, to be used for many steps; not while
  // the network is trained.
  virtual Conditioning prepared(const Conditioning& given) const { return given; }

  // The labels that are given, else the null class for each.
  Tensor labels_or_null(const Conditioning& given, std::int64_t count, Device device) const;

  SampleSpec sample = {};  // set by whoever knows the data
};

}  // namespace ebb
