// The reference device: every kernel as the plain loops that its formula is, on one thread. What
// the other devices' kernels are held to, what a minimal build computes with, and the template for
// a new device's table.
#pragma once

#include <ebb/tensor/backend/backend.h>

namespace ebb::reference {

void add_memory_kernels(Kernels& table);
void add_pointwise_kernels(Kernels& table);
void add_reduce_kernels(Kernels& table);
void add_layout_kernels(Kernels& table);
void add_matmul_kernels(Kernels& table);
void add_attention_kernels(Kernels& table);
void add_norm_kernels(Kernels& table);
void add_pool_kernels(Kernels& table);
void add_conv_kernels(Kernels& table);
void add_random_kernels(Kernels& table);
void add_optim_kernels(Kernels& table);

// Entries of the table that other devices have too, fall back on or cut in pieces. Columns, rows
// and images [begin, end) of the result are written.
void check_index(std::string_view operation, const Tensor& index, std::int64_t n);
void scan(Scan kind, const Tensor& x, const AxisView& along, std::int64_t begin, std::int64_t end,
          Tensor& out);
void cumprod_backward(const Tensor& grad, const Tensor& x, const Tensor& y, const AxisView& along,
                      std::int64_t begin, std::int64_t end, Tensor& out);
void sort(const Tensor& x, const AxisView& along, std::int64_t begin, std::int64_t end,
          Tensor& out);
void argsort(const Tensor& x, const AxisView& along, std::int64_t begin, std::int64_t end,
             Tensor& out);
void argmax(const Tensor& x, const AxisView& along, std::int64_t begin, std::int64_t end,
            Tensor& out);
void max_pool2d(const Tensor& x, const Pool2dOptions& options, std::int64_t begin, std::int64_t end,
                Tensor& out);
void max_pool2d_backward(const Tensor& grad, const Tensor& x, const Pool2dOptions& options,
                         std::int64_t begin, std::int64_t end, Tensor& dx);
// Chunks (tensor/random/philox_rows.h) and blocks of 16 [begin, end).
void philox_uniform(const PhiloxAddress& address, std::int64_t begin, std::int64_t end,
                    Tensor& out);
void philox_normal(const PhiloxAddress& address, std::int64_t begin, std::int64_t end, Tensor& out);
void philox_integers(std::int64_t low, std::uint64_t range, const PhiloxAddress& address,
                     std::int64_t begin, std::int64_t end, Tensor& out);
void box_muller(std::int64_t begin, std::int64_t end, Tensor& x);
void attention(const Heads& heads, const Tensor& q, const Tensor& k, const Tensor& v,
               Attended& out);
void attention_backward(const Heads& heads, const Tensor& grad, const Tensor& q, const Tensor& k,
                        const Tensor& v, const Attended& value, AttentionGradients& out);
void group_norm(const Tensor& x, const Groups& groups, const Tensor& weight, const Tensor& bias,
                double eps, bool silu, Normalized& out);
void group_norm_backward(const Tensor& grad, const Tensor& x, const Groups& groups,
                         const Tensor& weight, const Tensor& bias, const Tensor& mean,
                         const Tensor& rstd, bool silu, NormGradients& out);
// The three products of a convolution, for elements of any type.
template <class T>
void conv_forward(const ConvGeometry& g, const T* x, const T* weight, const T* bias,
                  Activation activation, T* y);
template <class T>
void conv_backward_data(const ConvGeometry& g, const T* dy, const T* weight, const T* bias,
                        Activation activation, T* dx);
template <class T>
void conv_backward_weights(const ConvGeometry& g, const T* dy, const T* x, T* dw);

}  // namespace ebb::reference
