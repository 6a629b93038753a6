// Conditioning: what a network is told beside its input and the time.
//
// A member is undefined where nothing of its kind is told, and has a row for each of N samples
// where it is. A new kind is a member here and a line in `visit`: batches, the trainer, guidance
// and sampling take them all alike.
#pragma once

#include <ebb/tensor/tensor.h>

#include <initializer_list>
#include <string_view>

namespace ebb {

struct Conditioning {
  Tensor labels;       // (N) int64, classes
  Tensor text_tokens;  // (N, L) int64, what a tokenizer makes of a text
  Tensor text_states;  // (N, L, D), what a text encoder says of L tokens
  Tensor text_mask;    // (N, L), not 0 where a token counts; undefined: all do
  Tensor text_pooled;  // (N, P), all of a text in one vector

  Conditioning() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): where classes are all there is, they will do
  Conditioning(Tensor classes) : labels(std::move(classes)) {}

  bool empty() const;
  // With f(member) in the place of each that is told.
  template <class F>
  Conditioning each(F f) const {
    Conditioning result = *this;
    visit(result, [&](std::string_view, Tensor& member) {
      if (member.defined()) member = f(member);
    });
    return result;
  }
  Conditioning to(Device device) const;
  Conditioning rows(std::int64_t first, std::int64_t last) const;  // of samples first ... last - 1
  // An Error unless every member has `samples` rows and is one of those that `network` `takes`,
  // by their names above.
  void check_for(std::string_view network, std::int64_t samples,
                 std::initializer_list<std::string_view> takes) const;

  // The samples of `a`, then those of `b`; and for each sample that of `a` where the mask (N) is
  // not 0, else that of `b`. Both are told the same kinds; else Error.
  friend Conditioning cat(const Conditioning& a, const Conditioning& b);
  friend Conditioning where(const Tensor& mask, const Conditioning& a, const Conditioning& b);

  // Calls visitor(name, member) for each.
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& visitor) {
    visitor("labels", self.labels);
    visitor("text_tokens", self.text_tokens);
    visitor("text_states", self.text_states);
    visitor("text_mask", self.text_mask);
    visitor("text_pooled", self.text_pooled);
  }
};

}  // namespace ebb
