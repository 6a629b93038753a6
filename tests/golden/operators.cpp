#include "tests/golden/operators.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <regex>

#include "tests/golden/op_case.h"

namespace ebb::test {
namespace {

using Function = std::function<std::vector<Variable>(OpCase&)>;

// (N, C, ...) to (N, ..., C) and back.
Variable channels_last(const Variable& x) {
  Dims dims{0};
  for (std::int64_t i = 2; i < x.rank(); ++i) dims.push_back(i);
  dims.push_back(1);
  return permute(x, dims);
}
Variable channels_first(const Variable& x) {
  Dims dims{0, x.rank() - 1};
  for (std::int64_t i = 1; i + 1 < x.rank(); ++i) dims.push_back(i);
  return permute(x, dims);
}

Activation activation(OpCase& c) {
  const auto name = c.arg<std::string>("activation", "none");
  check(name == "none" || name == "relu" || name == "silu",
        "argument activation = {} is not supported", name);
  return name == "relu" ? Activation::relu : name == "silu" ? Activation::silu : Activation::none;
}

Conv2dOptions conv_options(OpCase& c) {
  Conv2dOptions options;
  options.stride = c.pair("stride", {1, 1});
  options.dilation = c.pair("dilation", {1, 1});
  options.groups = c.arg<std::int64_t>("groups", 1);
  return options;
}

Variable conv2d_case(OpCase& c) {
  Conv2dOptions options = conv_options(c);
  Variable x = channels_last(c.in("x"));
  const Variable weight = c.in("weight");
  const Json padding = c.arg("padding");
  if (padding == "same") {
    Sizes widths{0, 0};  // channels, then W, then H
    for (const int i : {1, 0}) {
      const std::int64_t total = options.dilation[i] * (weight.size(2 + i) - 1);
      widths.insert(widths.end(), {total / 2, total - total / 2});
    }
    x = pad(x, widths);
  } else if (padding != "valid") {
    options.padding = c.pair("padding", {0, 0});
  }
  return channels_first(conv2d(x, weight, c.optional_in("bias"), options, activation(c)));
}

Variable conv_transpose2d_case(OpCase& c) {
  Conv2dOptions options = conv_options(c);
  options.padding = c.pair("padding", {0, 0});
  options.output_padding = c.pair("output_padding", {0, 0});
  return channels_first(conv_transpose2d(channels_last(c.in("x")), c.in("weight"),
                                         c.optional_in("bias"), options, activation(c)));
}

Pool2dOptions pool_options(OpCase& c) {
  c.only("ceil_mode", false);
  return {c.pair("kernel_size", {0, 0}), c.pair("stride", {0, 0}), c.pair("padding", {0, 0})};
}

Variable max_pool2d_case(OpCase& c) {
  c.only("dilation", 1);
  c.only("return_indices", false);
  return channels_first(max_pool2d(channels_last(c.in("x")), pool_options(c)));
}

Variable avg_pool2d_case(OpCase& c) {
  c.only("divisor_override", Json());
  const Pool2dOptions options = pool_options(c);
  const Variable x = channels_last(c.in("x"));
  Variable y = avg_pool2d(x, options);
  if (!c.arg("count_include_pad", true))
    y = y / avg_pool2d(Tensor::ones(x.shape(), x.value().dtype()), options);
  return channels_first(y);
}

Variable interpolate_case(OpCase& c) {
  const Variable x = channels_last(c.in("x"));
  Pair size = c.pair("size", {0, 0});
  for (const Json factor = c.arg("scale_factor"); const int i : {0, 1}) {
    if (factor.is_null()) continue;
    const double scale = factor.is_number() ? factor.get<double>() : factor.at(i).get<double>();
    const double exact = static_cast<double>(x.size(1 + i)) * scale;
    size[i] = static_cast<std::int64_t>(exact);
    check(static_cast<double>(size[i]) == exact,
          "argument scale_factor = {} does not give a whole size from {}", scale, x.size(1 + i));
  }
  c.only("align_corners", false);
  c.only("antialias", false);
  c.arg("recompute_scale_factor");  // the same at whole sizes
  const auto mode = c.arg<std::string>("mode", "nearest");
  check(mode == "nearest" || mode == "bilinear", "argument mode = {} is not supported", mode);
  return channels_first(interpolate(
      x, size[0], size[1], mode == "nearest" ? Interpolation::nearest : Interpolation::bilinear));
}

Variable batch_norm_case(OpCase& c) {
  const Variable x = channels_last(c.in("x"));
  const Variable weight = c.optional_in("weight"), bias = c.optional_in("bias");
  const double eps = c.arg("eps", 1e-5);
  const Variable mean = c.optional_in("running_mean"), var = c.optional_in("running_var");
  c.arg("momentum");  // says what becomes of the running statistics, not of y
  if (c.arg("training", false)) return channels_first(batch_norm(x, weight, bias, eps));
  Variable y = (x - mean) * rsqrt(var + eps);
  if (weight.defined()) y = y * weight;
  return channels_first(bias.defined() ? y + bias : y);
}

Variable reshape_case(OpCase& c) {
  const Variable x = c.in("x");
  const Json shape = c.arg("shape");
  if (!shape.is_null()) return reshape(x, shape.get<Sizes>());
  const auto note = c.arg<std::string>("note", "");
  const std::regex form(R"(transpose\((-?\d+), ?(-?\d+)\) then reshape\(([-0-9, ]+)\))");
  std::smatch match;
  check(std::regex_match(note, match, form), "argument note = '{}' is not understood", note);
  return reshape(transpose(x, std::stoll(match[1]), std::stoll(match[2])),
                 Json::parse(fmt::format("[{}]", match[3].str())).get<Sizes>());
}

Variable where_case(OpCase& c) {
  c.only("note", "condition is cond > 0");
  const Tensor condition = c.in("cond").value();
  const Tensor zero = Tensor::scalar(0, condition.dtype());
  return where(less(zero, condition), c.in("a"), c.in("b"));
}

Variable slice_case(OpCase& c) {
  const Variable x = c.in("x");
  return slice(x, c.arg<std::int64_t>("dim", 0), c.arg<std::int64_t>("start", 0),
               c.arg("stop", std::numeric_limits<std::int64_t>::max()),
               c.arg<std::int64_t>("step", 1));
}

Variable pad_case(OpCase& c) {
  c.only("mode", "constant");
  return pad(c.in("x"), c.arg("pad").get<Sizes>(), c.arg("value", 0.0));
}

Variable gelu_case(OpCase& c) {
  const auto form = c.arg<std::string>("approximate", "none");
  check(form == "none" || form == "tanh", "argument approximate = {} is not supported", form);
  return form == "tanh" ? gelu_tanh(c.in("x")) : gelu(c.in("x"));
}

// The slope of a case that does not say it is 0.2, not PyTorch's 0.01.
Variable leaky_relu_case(OpCase& c) { return leaky_relu(c.in("x"), c.arg("negative_slope", 0.2)); }

Variable softplus_case(OpCase& c) {
  c.only("threshold", 20);
  const double beta = c.arg("beta", 1.0);
  return softplus(c.in("x") * beta) / beta;
}

Variable clamp_case(OpCase& c) {
  const double infinity = std::numeric_limits<double>::infinity();
  return clamp(c.in("x"), c.arg("min", -infinity), c.arg("max", infinity));
}

Variable attention_case(OpCase& c) {
  c.only("is_causal", false);
  c.only("dropout_p", 0.0);
  return scaled_dot_product_attention(c.in("q"), c.in("k"), c.in("v"), c.arg("scale", 0.0));
}

Variable masked_attention_case(OpCase& c) {
  AttentionMask mask{.causal = c.arg("causal", false)};
  for (const char* form : {"mask", "bias"})
    if (const Variable given = c.optional_in(form); given.defined()) mask.mask = given.value();
  return scaled_dot_product_attention(c.in("q"), c.in("k"), c.in("v"), mask, c.arg("scale", 0.0));
}

// The means of ours under PyTorch's `reduction`.
Variable reduced(OpCase& c, const Variable& mean_loss, std::int64_t count) {
  const auto reduction = c.arg<std::string>("reduction", "mean");
  check(reduction == "mean" || reduction == "sum", "argument reduction = {} is not supported",
        reduction);
  return reduction == "sum" ? mean_loss * static_cast<double>(count) : mean_loss;
}

Variable cross_entropy_case(OpCase& c) {
  c.only("label_smoothing", 0.0);
  c.only("ignore_index", -100);
  const Variable x = channels_last(c.in("input"));
  const Tensor target = c.in("target").value();
  return reduced(c, cross_entropy(reshape(x, {target.numel(), x.size(-1)}), target.reshape({-1})),
                 target.numel());
}

// Forms that many functions share.
Function one(std::function<Variable(OpCase&)> f) {
  return [f](OpCase& c) { return std::vector<Variable>{f(c)}; };
}
Function pointwise(Variable (*f)(const Variable&)) {
  return one([f](OpCase& c) { return f(c.in("x")); });
}
Function binary(Variable (*f)(const Variable&, const Variable&)) {
  return one([f](OpCase& c) {
    const Variable b = c.in("b");
    const double alpha = c.arg("alpha", 1.0);
    return f(c.in("a"), alpha == 1 ? b : b * alpha);
  });
}
Function reduction(Variable (*f)(const Variable&, const Dims&, bool)) {
  return one([f](OpCase& c) { return f(c.in("x"), c.dims("dim"), c.arg("keepdim", false)); });
}
Function spread(Variable (*f)(const Variable&, const Dims&, bool, bool)) {
  return one([f](OpCase& c) {
    const bool unbiased = c.arg<std::int64_t>("correction", c.arg("unbiased", true)) == 1;
    return f(c.in("x"), c.dims("dim"), unbiased, c.arg("keepdim", false));
  });
}
Function along(Variable (*f)(const Variable&, std::int64_t)) {
  return one([f](OpCase& c) { return f(c.in("x"), c.arg("dim").get<std::int64_t>()); });
}
Function loss(Variable (*f)(const Variable&, const Variable&)) {
  return one([f](OpCase& c) {
    const Variable input = c.in("input");
    return reduced(c, f(input, c.in("target")), input.numel());
  });
}
Function indexed(Variable (*f)(const Variable&, std::int64_t, const Tensor&)) {
  return one([f](OpCase& c) {
    return f(c.in("x"), c.arg("dim").get<std::int64_t>(), c.in("index").value());
  });
}

const std::map<std::string, Function>& functions() {
  static const std::map<std::string, Function> table{
      {"add", binary(add)},
      {"sub", binary(sub)},
      {"mul", binary(mul)},
      {"div", binary(div)},
      {"maximum", binary(maximum)},
      {"minimum", binary(minimum)},
      {"neg", pointwise(neg)},
      {"exp", pointwise(exp)},
      {"log", pointwise(log)},
      {"log1p", pointwise(log1p)},
      {"sqrt", pointwise(sqrt)},
      {"rsqrt", pointwise(rsqrt)},
      {"reciprocal", pointwise(reciprocal)},
      {"square", pointwise(square)},
      {"abs", pointwise(abs)},
      {"sin", pointwise(sin)},
      {"cos", pointwise(cos)},
      {"tanh", pointwise(tanh)},
      {"sigmoid", pointwise(sigmoid)},
      {"relu", pointwise(relu)},
      {"silu", pointwise(silu)},
      {"erf", pointwise(erf)},
      {"gelu", one(gelu_case)},
      {"softplus", one(softplus_case)},
      {"leaky_relu", one(leaky_relu_case)},
      {"pow", one([](OpCase& c) { return pow(c.in("x"), c.arg("exponent").get<double>()); })},
      {"clamp", one(clamp_case)},
      {"where", one(where_case)},
      {"sum", reduction(sum)},
      {"mean", reduction(mean)},
      {"amax", reduction(amax)},
      {"amin", reduction(amin)},
      {"var", spread(var)},
      {"std", spread(std)},
      {"cumsum", along(cumsum)},
      {"cumprod", along(cumprod)},
      {"softmax", along(softmax)},
      {"log_softmax", along(log_softmax)},
      {"logsumexp", one([](OpCase& c) {
         return logsumexp(c.in("x"), c.arg("dim").get<std::int64_t>(), c.arg("keepdim", false));
       })},
      {"matmul", one([](OpCase& c) { return matmul(c.in("a"), c.in("b")); })},
      {"linear",
       one([](OpCase& c) { return linear(c.in("input"), c.in("weight"), c.optional_in("bias")); })},
      {"embedding",
       one([](OpCase& c) { return embedding(c.in("weight"), c.in("index").value()); })},
      {"scaled_dot_product_attention", one(attention_case)},
      {"masked_attention", one(masked_attention_case)},
      {"self_attention",
       one([](OpCase& c) { return self_attention(c.in("qkv"), c.arg("heads")); })},
      {"cross_attention", one([](OpCase& c) {
         return cross_attention(c.in("q"), c.in("k"), c.in("v"), c.arg("heads"));
       })},
      {"conv2d", one(conv2d_case)},
      {"conv_transpose2d", one(conv_transpose2d_case)},
      {"max_pool2d", one(max_pool2d_case)},
      {"avg_pool2d", one(avg_pool2d_case)},
      {"interpolate", one(interpolate_case)},
      {"pixel_shuffle", one([](OpCase& c) {
         return channels_first(pixel_shuffle(channels_last(c.in("x")), c.arg("upscale_factor")));
       })},
      {"pixel_unshuffle", one([](OpCase& c) {
         return channels_first(
             pixel_unshuffle(channels_last(c.in("x")), c.arg("downscale_factor")));
       })},
      {"group_norm", one([](OpCase& c) {
         return channels_first(group_norm(channels_last(c.in("x")), c.arg("num_groups"),
                                          c.optional_in("weight"), c.optional_in("bias"),
                                          c.arg("eps", 1e-5), activation(c) == Activation::silu));
       })},
      {"layer_norm", one([](OpCase& c) {
         return layer_norm(c.in("x"), Shape(c.dims("normalized_shape")), c.optional_in("weight"),
                           c.optional_in("bias"), c.arg("eps", 1e-5));
       })},
      {"batch_norm", one(batch_norm_case)},
      {"reshape", one(reshape_case)},
      {"broadcast_to",
       one([](OpCase& c) { return broadcast_to(c.in("x"), Shape(c.dims("shape"))); })},
      {"sort", one([](OpCase& c) {
         return Variable(sort(c.in("x").value(), c.arg<std::int64_t>("dim", -1)));
       })},
      {"argsort", one([](OpCase& c) {
         return Variable(argsort(c.in("x").value(), c.arg<std::int64_t>("dim", -1)));
       })},
      {"argmax", one([](OpCase& c) {
         return Variable(argmax(c.in("x").value(), c.arg<std::int64_t>("dim", -1)));
       })},
      {"permute", one([](OpCase& c) { return permute(c.in("x"), c.dims("dims")); })},
      {"transpose",
       one([](OpCase& c) { return transpose(c.in("x"), c.arg("dim0"), c.arg("dim1")); })},
      {"cat", one([](OpCase& c) { return cat(c.all_in(), c.arg<std::int64_t>("dim", 0)); })},
      {"stack", one([](OpCase& c) { return stack(c.all_in(), c.arg<std::int64_t>("dim", 0)); })},
      {"slice", one(slice_case)},
      {"select", one([](OpCase& c) { return select(c.in("x"), c.arg("dim"), c.arg("index")); })},
      {"squeeze", one([](OpCase& c) { return squeeze(c.in("x"), c.arg("dim")); })},
      {"unsqueeze", one([](OpCase& c) { return unsqueeze(c.in("x"), c.arg("dim")); })},
      {"split",
       [](OpCase& c) {
         return split(c.in("x"), c.arg("split_size"), c.arg<std::int64_t>("dim", 0));
       }},
      {"flip", one([](OpCase& c) { return flip(c.in("x"), c.dims("dims")); })},
      {"pad", one(pad_case)},
      {"gather", indexed(gather)},
      {"index_select", indexed(index_select)},
      {"mse_loss", loss(mse_loss)},
      {"l1_loss", loss(l1_loss)},
      {"huber_loss", one([](OpCase& c) {
         const Variable input = c.in("input");
         return reduced(c, huber_loss(input, c.in("target"), c.arg("delta", 1.0)), input.numel());
       })},
      {"cross_entropy", one(cross_entropy_case)},
      {"binary_cross_entropy_with_logits", loss(binary_cross_entropy_with_logits)},
  };
  return table;
}

}  // namespace

OperatorRun run_operator(const ReferenceFile& file, const Json& entry, std::optional<DType> dtype) {
  const auto name = entry.at("name").get<std::string>();
  const auto op = entry.at("op").get<std::string>();
  const auto function = functions().find(op);
  check(function != functions().end(), "operator {} is unknown", op);
  OpCase call(file, entry, dtype);
  OperatorRun run{function->second(call), call.inputs()};
  call.check_all_used();
  const Json& names = entry.at("outputs");
  check(run.outputs.size() == names.size(), "{} outputs, {} expected", run.outputs.size(),
        names.size());
  for (const Json& cotangent : entry.at("cotangents")) {
    const auto i = std::find(names.begin(), names.end(), cotangent) - names.begin();
    const Variable& y = run.outputs.at(i);
    const Tensor& given = file[name + "/cot/" + cotangent.get<std::string>()];
    y.backward(given.to(y.value().dtype()), true);
  }
  return run;
}

}  // namespace ebb::test
