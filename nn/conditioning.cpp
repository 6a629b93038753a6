#include <ebb/nn/conditioning.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/pointwise.h>

#include <algorithm>

namespace ebb {
namespace {

// f(a's member, b's member) of all that both are told.
template <class F>
Conditioning both(const char* operation, const Conditioning& a, const Conditioning& b, F f) {
  std::vector<Tensor> others;
  Conditioning::visit(b, [&](std::string_view, const Tensor& member) { others.push_back(member); });
  auto other = others.begin();
  Conditioning result = a;
  Conditioning::visit(result, [&](std::string_view name, Tensor& member) {
    const auto said = [](const Tensor& t) { return t.defined() ? "some" : "none"; };
    check(member.defined() == other->defined(),
          "{}: one conditioning has {} {}, the other {}; give both the same kinds", operation,
          said(member), name, said(*other));
    if (member.defined()) member = f(member, *other);
    ++other;
  });
  return result;
}

}  // namespace

bool Conditioning::empty() const {
  bool none = true;
  visit(*this, [&](std::string_view, const Tensor& member) { none = none && !member.defined(); });
  return none;
}

Conditioning Conditioning::to(Device device) const {
  return each([&](const Tensor& member) { return member.to(device); });
}

Conditioning Conditioning::rows(std::int64_t first, std::int64_t last) const {
  return each([&](const Tensor& member) { return slice(member, 0, first, last); });
}

void Conditioning::check_for(std::string_view network, std::int64_t samples,
                             std::initializer_list<std::string_view> takes) const {
  visit(*this, [&](std::string_view name, const Tensor& member) {
    if (!member.defined()) return;
    check(std::find(takes.begin(), takes.end(), name) != takes.end(),
          "{}: {} were given, of which it knows nothing; leave them out", network, name);
    check(member.rank() > 0 && member.size(0) == samples,
          "{}: {} {} for {} images; give one for each", network, name, member.shape(), samples);
  });
}

Conditioning cat(const Conditioning& a, const Conditioning& b) {
  return both("cat", a, b, [](const Tensor& x, const Tensor& y) { return cat({x, y}, 0); });
}

Conditioning where(const Tensor& mask, const Conditioning& a, const Conditioning& b) {
  return both("where", a, b, [&](const Tensor& x, const Tensor& y) {
    check(x.shape() == y.shape() && mask.rank() == 1 && x.size(0) == mask.size(0),
          "where: conditioning {} and {} for a mask {}; needs (N, ...) twice and (N)", x.shape(),
          y.shape(), mask.shape());
    Dims dims(static_cast<std::size_t>(x.rank()), 1);
    dims[0] = mask.size(0);
    return where(mask.reshape(dims), x, y);
  });
}

}  // namespace ebb
