// With CASE 0 this compiles; with each other number it must not.
#include <ebb/autograd/ops.h>
#include <ebb/nn/layers/layers.h>

using namespace ebb;

void use(Tensor& t, Variable& v) {
#if CASE == 0
  v = t;
  t = v.value();
#elif CASE == 1
  t = v;  // a gradient would be lost without a word
#elif CASE == 2
  const float* p = t.data<int>();  // no tensor has elements of type int
#elif CASE == 3
  t = Tensor::from<char>({1, 2});
#elif CASE == 4
  t = t + "1";
#elif CASE == 5
  const BackwardRule rule = [](Variable grad, const Needs&) { return std::vector<Variable>{grad}; };
#elif CASE == 6
  const NoGrad scope = NoGrad();
  const NoGrad copy(scope);
#elif CASE == 7
  Linear layer;
  layer(1.0);
#elif CASE == 8
  add_(v, t);  // in place, behind the graph's back
#else
#error no such case
#endif
}
