// The calls that tests/golden/rng.safetensors names, read from their text:
//   empty(50).uniform_(-0.3, 0.3)    randint(-5, 2**40, (4,))    nn.Linear(1, 128).weight[:4]
#pragma once

#include <ebb/tensor/error.h>

#include <cctype>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ebb::test {

struct Value {
  enum class Kind { number, tuple, word } kind = Kind::number;
  double number = 0;
  std::vector<Value> items;  // of a tuple
  std::string word;          // float64, True

  std::int64_t integer() const {
    check(kind == Kind::number && number == std::floor(number), "an integer was expected");
    return static_cast<std::int64_t>(number);
  }
  std::vector<std::int64_t> integers() const {
    if (kind == Kind::number) return {integer()};
    std::vector<std::int64_t> result;
    for (const Value& item : items) result.push_back(item.integer());
    return result;
  }
};

// name(arguments), or name alone.
struct Call {
  std::string name;
  bool called = false;
  std::vector<Value> arguments;
  std::map<std::string, Value> named;

  const Value* find(std::size_t position, const std::string& name_of_argument) const {
    if (position < arguments.size()) return &arguments[position];
    const auto found = named.find(name_of_argument);
    return found == named.end() ? nullptr : &found->second;
  }
  double number(std::size_t position, const std::string& name_of_argument, double otherwise) const {
    const Value* const value = find(position, name_of_argument);
    return value ? value->number : otherwise;
  }
};

// What is read: calls joined by dots, then perhaps [start:stop] of the first dimension.
struct Chain {
  std::vector<Call> calls;
  bool sliced = false;
  std::int64_t start = 0, stop = INT64_MAX;
};

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Chain chain() {
    Chain result;
    do {
      result.calls.push_back(call());
    } while (take('.'));
    if (take('[')) {
      result.sliced = true;
      if (peek() != ':') result.start = expression().integer();
      expect(':');
      if (peek() != ']') result.stop = expression().integer();
      expect(']');
    }
    check(peek() == '\0', "'{}': cannot read '{}'", text_, text_.substr(at_));
    return result;
  }

 private:
  Call call() {
    Call result{identifier(), false, {}, {}};
    if (!take('(')) return result;
    result.called = true;
    while (!take(')')) {
      const std::size_t before = at_;
      std::string name;
      if (std::isalpha(static_cast<unsigned char>(peek()))) name = identifier();
      if (!name.empty() && take('=')) {
        result.named[name] = expression();
      } else {
        at_ = before;
        result.arguments.push_back(expression());
      }
      if (peek() != ')') expect(',');
    }
    return result;
  }
  Value expression() {
    Value left = product();
    for (char c = peek(); c == '+' || c == '-'; c = peek()) {
      ++at_;
      const double right = product().number;
      left.number += c == '+' ? right : -right;
    }
    return left;
  }
  Value product() {
    Value left = power();
    for (char c = peek(); c == '*' || c == '/'; c = peek()) {
      ++at_;
      const double right = power().number;
      left.number = c == '*' ? left.number * right : left.number / right;
    }
    return left;
  }
  Value power() {
    if (take('-')) {
      Value value = power();
      value.number = -value.number;
      return value;
    }
    Value base = atom();
    if (peek() == '*' && at_ + 1 < text_.size() && text_[at_ + 1] == '*') {
      at_ += 2;
      base.number = std::pow(base.number, power().number);
    }
    return base;
  }
  Value atom() {
    Value value;
    if (take('(')) {
      bool tuple = false;
      while (!take(')')) {
        value.items.push_back(expression());
        if (peek() == ')') continue;
        expect(',');
        tuple = true;
      }
      if (!tuple && value.items.size() == 1) return Value(value.items[0]);
      value.kind = Value::Kind::tuple;
    } else if (std::isalpha(static_cast<unsigned char>(peek()))) {
      value.kind = Value::Kind::word;
      do {
        value.word = identifier();
      } while (take('.'));
    } else {
      std::size_t length = 0;
      value.number = std::stod(std::string(text_.substr(at_)), &length);
      at_ += length;
    }
    return value;
  }
  std::string identifier() {
    peek();
    const std::size_t start = at_;
    while (at_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_'))
      ++at_;
    check(at_ > start, "'{}': a name was expected before '{}'", text_, text_.substr(start));
    return std::string(text_.substr(start, at_ - start));
  }
  char peek() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) { check(take(c), "'{}': '{}' was expected at {}", text_, c, at_); }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace ebb::test
