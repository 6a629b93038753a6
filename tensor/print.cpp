#include <ebb/tensor/print.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <ostream>

namespace ebb {
namespace {

constexpr std::int64_t threshold = 1000, edge = 3;
constexpr std::size_t line_width = 75, most_digits = 8;

// Indices shown along a dimension of n, -1 for the dots between.
std::vector<std::int64_t> shown(std::int64_t n, bool elided) {
  std::vector<std::int64_t> result;
  for (std::int64_t i = 0; i < n; ++i) {
    if (elided && n > 2 * edge && i == edge) {
      result.push_back(-1);
      i = n - edge;
    }
    result.push_back(i);
  }
  return result;
}

template <class T>
std::string format_digits(T x, bool scientific, std::size_t digits) {
  return scientific ? fmt::format("{:.{}e}", x, digits) : fmt::format("{:.{}f}", x, digits);
}

// A number's shortest digits, cut to eight behind the point and its last zeros.
template <class T>
std::string shortest(T x, bool scientific) {
  std::string text = format_digits(x, scientific, most_digits);
  for (std::size_t digits = 0; digits < most_digits; ++digits) {
    const std::string fewer = format_digits(x, scientific, digits);
    const T back = static_cast<T>(std::stod(fewer));
    if (back == x || std::stod(fewer) == std::stod(text)) {
      text = fewer;
      break;
    }
  }
  const std::size_t end = std::min(text.find('e'), text.size());
  if (text.find('.') == std::string::npos) text.insert(end, 1, '.');
  return text;
}

// How all numbers of one tensor are written.
template <class T>
class Layout {
 public:
  void see(T x) {
    if constexpr (std::is_floating_point_v<T>) {
      if (!std::isfinite(x)) {
        others_.push_back(x);
        return;
      }
      if (x != 0) {
        largest_ = std::max(largest_, std::abs(x));
        smallest_ = std::min(smallest_, std::abs(x));
      }
    }
    seen_.push_back(x);
  }

  // After all were seen.
  void settle() {
    if constexpr (std::is_floating_point_v<T>) {
      scientific_ = largest_ > 0 && (largest_ >= T(1e8) || static_cast<double>(smallest_) < 1e-4 ||
                                     largest_ / smallest_ > T(1000));
      for (const T x : seen_) {
        const std::string text = shortest(x, scientific_);
        const std::size_t point = text.find('.'), end = std::min(text.find('e'), text.size());
        left_ = std::max(left_, point);
        right_ = std::max(right_, end - point - 1);
        exponent_ = std::max(exponent_, text.size() - end);
      }
      const std::size_t behind = seen_.empty() ? 0 : right_ + exponent_ + 1;
      for (const T x : others_) {
        const std::size_t size = std::isnan(x) ? 3 : x < 0 ? 4 : 3;
        if (size > behind) left_ = std::max(left_, size - behind);
      }
      width_ = left_ + behind;
    } else {
      for (const T x : seen_) width_ = std::max(width_, fmt::format("{}", x).size());
    }
  }

  std::string operator()(T x) const {
    if constexpr (std::is_floating_point_v<T>) {
      if (std::isnan(x)) return fmt::format("{:>{}}", "nan", width_);
      if (std::isinf(x)) return fmt::format("{:>{}}", x < 0 ? "-inf" : "inf", width_);
      if (scientific_)
        return fmt::format("{:>{}}", with_point(fmt::format("{:.{}e}", x, right_)), width_);
      std::string text = shortest(x, false);
      text.resize(text.size() + right_ - (text.size() - text.find('.') - 1), ' ');
      return fmt::format("{:>{}}", text, width_);
    } else {
      return fmt::format("{:>{}}", x, width_);
    }
  }

 private:
  static std::string with_point(std::string text) {
    if (text.find('.') == std::string::npos) text.insert(text.find('e'), 1, '.');
    return text;
  }

  std::vector<T> seen_, others_;
  T largest_ = 0, smallest_ = std::numeric_limits<T>::max();
  bool scientific_ = false;
  std::size_t left_ = 0, right_ = 0, exponent_ = 0, width_ = 0;
};

template <class T>
class Printer {
 public:
  explicit Printer(const Tensor& x)
      : shape_(x.shape()), elided_(x.numel() > threshold), values_(x.to_vector<T>()) {
    collect(0, 0);
    layout_.settle();
  }

  std::string text() const { return part(0, 0, " ", line_width); }

 private:
  void collect(std::int64_t dim, std::int64_t index) {
    if (dim == shape_.rank()) return layout_.see(values_[static_cast<std::size_t>(index)]);
    for (const std::int64_t i : shown(shape_[dim], elided_))
      if (i >= 0) collect(dim + 1, index * shape_[dim] + i);
  }

  // The elements below `index`, whose lines begin with `indent`.
  std::string part(std::int64_t dim, std::int64_t index, const std::string& indent,
                   std::size_t width) const {
    if (dim == shape_.rank()) return layout_(values_[static_cast<std::size_t>(index)]);
    const std::vector<std::int64_t> all = shown(shape_[dim], elided_);
    const bool last = dim + 1 == shape_.rank();
    std::string text, line = indent;
    for (std::size_t k = 0; k < all.size(); ++k) {
      const std::string word =
          all[k] < 0 ? "..." : part(dim + 1, index * shape_[dim] + all[k], indent + ' ', width - 1);
      if (!last) {
        text += indent + word;
        if (k + 1 < all.size())
          text += std::string(static_cast<std::size_t>(shape_.rank() - dim - 1), '\n');
        continue;
      }
      if (line.size() + word.size() > width - 1 && line.size() > indent.size()) {
        text += line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
        line = indent;
      }
      line += word;
      if (k + 1 < all.size()) line += ' ';
    }
    if (last) text += line;
    return fmt::format("[{}]", text.substr(std::min(indent.size(), text.size())));
  }

  Shape shape_;
  bool elided_;
  std::vector<T> values_;
  Layout<T> layout_;
};

// Alone, a number has as many digits as it takes.
std::string scalar_text(const Tensor& x) {
  return dispatch_all(x.dtype(), [&](auto zero) {
    std::string text = fmt::format("{}", x.to_vector<decltype(zero)>()[0]);
    if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
    return text;
  });
}

}  // namespace

std::string to_string(const Tensor& x) {
  if (!x.defined()) return "undefined";
  if (x.numel() == 0) return "[]";
  if (x.rank() == 0 && is_floating(x.dtype())) return scalar_text(x);
  return dispatch_all(x.dtype(), [&](auto zero) { return Printer<decltype(zero)>(x).text(); });
}

std::ostream& operator<<(std::ostream& out, const Tensor& x) { return out << to_string(x); }

}  // namespace ebb
