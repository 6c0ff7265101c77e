#include "libraries/cublaslt_compute.h"

#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "libraries/gemm.h"
#include "libraries/half.h"
#include "runtime/library_support.h"

namespace ptx_emulator::cublaslt {
namespace {

// ---- elements ----

template <class T>
T load(const std::byte* from, std::int64_t type) {
  std::uint16_t half = 0;
  float single = 0;
  double full = 0;
  switch (type) {
    case CUDA_R_64F:
      std::memcpy(&full, from, sizeof full);
      return static_cast<T>(full);
    case CUDA_R_32F:
      std::memcpy(&single, from, sizeof single);
      return static_cast<T>(single);
    case CUDA_R_16F:
      std::memcpy(&half, from, sizeof half);
      return static_cast<T>(f16_to_float(half));
    default:
      std::memcpy(&half, from, sizeof half);
      return static_cast<T>(bf16_to_float(half));
  }
}

template <class T>
void store(std::byte* to, std::int64_t type, T value) {
  const auto put = [to](auto element) {
    std::memcpy(to, &element, sizeof element);
  };
  switch (type) {
    case CUDA_R_64F:
      return put(static_cast<double>(value));
    case CUDA_R_32F:
      return put(static_cast<float>(value));
    case CUDA_R_16F:
      return put(float_to_f16(static_cast<float>(value)));
    default:
      return put(float_to_bf16(static_cast<float>(value)));
  }
}

// What the tensor cores see of a 32-bit input.
template <class T>
T round_input(T value, std::int32_t compute) {
  const auto single = static_cast<float>(value);
  switch (compute) {
    case CUBLAS_COMPUTE_32F_FAST_TF32:
      return static_cast<T>(round_to_tf32(single));
    case CUBLAS_COMPUTE_32F_FAST_16F:
      return static_cast<T>(f16_to_float(float_to_f16(single)));
    case CUBLAS_COMPUTE_32F_FAST_16BF:
      return static_cast<T>(bf16_to_float(float_to_bf16(single)));
    default:
      return value;
  }
}

// ---- operands ----

// One matrix of a batch, on the host. With ld 0 every column is the same.
struct Matrix {
  std::byte* data = nullptr;
  std::int64_t type = 0;
  std::size_t row_step = 0, column_step = 0;  // in bytes

  std::byte* at(std::size_t row, std::size_t column) const {
    return data + row * row_step + column * column_step;
  }
};

Matrix access(const MatrixLayout& layout, std::uint64_t address,
              std::int32_t batch, AccessKind kind, const char* what) {
  const std::size_t size = element_size(layout.type);
  const std::size_t ld = static_cast<std::size_t>(layout.ld) * size;
  const std::uint64_t begin =
      address + static_cast<std::uint64_t>(layout.batch_stride * batch) * size;
  Matrix matrix;
  matrix.type = layout.type;
  matrix.data =
      ptx_emulator_access_rows(begin, layout.ld == 0 ? 1 : layout.outer(),
                               layout.inner() * size, ld, kind, what);
  matrix.row_step = layout.is_row_major() ? ld : size;
  matrix.column_step = layout.is_row_major() ? size : ld;
  return matrix;
}

std::byte* access_vector(std::uint64_t address, std::size_t bytes,
                         AccessKind kind, const char* what) {
  return ptx_emulator_access_rows(address, 1, bytes, bytes, kind, what);
}

template <class T>
struct Factors {
  T alpha, beta;
};

template <class T>
Factors<T> read_factors(const Scaling& scaling) {
  if (!scaling.on_device)
    return {static_cast<T>(scaling.alpha), static_cast<T>(scaling.beta)};
  Factors<T> factors{};
  std::memcpy(&factors.alpha,
              access_vector(scaling.alpha_address, sizeof(T), AccessKind::kRead,
                            "cublasLtMatmul: alpha"),
              sizeof(T));
  std::memcpy(&factors.beta,
              access_vector(scaling.beta_address, sizeof(T), AccessKind::kRead,
                            "cublasLtMatmul: beta"),
              sizeof(T));
  return factors;
}

// ---- epilogues ----

template <class T>
T tanh_argument(T x) {
  constexpr double kRoot = 0.7978845608028654;  // sqrt(2 / pi)
  return static_cast<T>(kRoot) * (x + static_cast<T>(0.044715) * x * x * x);
}

// GELU by its tanh form, as the library computes it.
template <class T>
T gelu(T x) {
  return static_cast<T>(0.5) * x * (T{1} + std::tanh(tanh_argument(x)));
}

template <class T>
T gelu_derivative(T x) {
  constexpr double kRoot = 0.7978845608028654;
  const T t = std::tanh(tanh_argument(x));
  const T slope =
      static_cast<T>(kRoot) * (T{1} + static_cast<T>(3 * 0.044715) * x * x);
  return static_cast<T>(0.5) * (T{1} + t) +
         static_cast<T>(0.5) * x * (T{1} - t * t) * slope;
}

// The epilogue of one batch entry, element by element.
template <class T>
class Epilogue {
 public:
  Epilogue(const Problem& problem, std::int32_t batch) : problem_(problem) {
    const MatmulDescription& operation = problem.operation;
    if (problem.reads_bias() || problem.writes_bias()) {
      bias_size_ = element_size(problem.bias_type());
      bias_ = access_vector(
          operation.bias +
              static_cast<std::uint64_t>(operation.bias_batch_stride * batch) *
                  bias_size_,
          problem.bias_length() * bias_size_,
          problem.reads_bias() ? AccessKind::kRead : AccessKind::kWrite,
          "cublasLtMatmul: the bias");
    }
    if (problem.writes_bias()) gradient_.assign(problem.bias_length(), T{0});
    open_aux(batch);
  }

  T apply(std::size_t row, std::size_t column, T x) {
    if (problem_.reads_bias())
      x += load<T>(bias_ + row * bias_size_, problem_.bias_type());
    if (problem_.has(CUBLASLT_EPILOGUE_RELU)) {
      // max(x, 0) of the hardware: NaN becomes 0.
      const bool positive = x > T{0};
      if (aux_) set_mask(row, column, positive);
      x = positive ? x : T{0};
    } else if (problem_.has(CUBLASLT_EPILOGUE_GELU)) {
      if (aux_) store(aux_element(row, column), problem_.d.type, x);
      x = gelu(x);
    } else if (problem_.has(CUBLASLT_EPILOGUE_DRELU)) {
      x = mask(row, column) ? x : T{0};
    } else if (problem_.has(CUBLASLT_EPILOGUE_DGELU)) {
      x *= gelu_derivative(load<T>(aux_element(row, column), problem_.d.type));
    }
    if (problem_.has(16)) gradient_[row] += x;
    return x;
  }

  std::vector<T>& gradient() { return gradient_; }
  void store_gradient() {
    for (std::size_t i = 0; i < gradient_.size(); ++i)
      store(bias_ + i * bias_size_, problem_.bias_type(), gradient_[i]);
  }

 private:
  void open_aux(std::int32_t batch) {
    const MatmulDescription& operation = problem_.operation;
    const bool is_mask = problem_.has_relu_mask();
    if (!is_mask && !problem_.has_gelu_input()) return;
    const std::size_t bits = is_mask ? 1 : 8 * element_size(problem_.d.type);
    const auto bytes = [bits](std::uint64_t elements) {
      return (elements * bits + 7) / 8;
    };
    const bool is_input = problem_.has(CUBLASLT_EPILOGUE_DRELU) ||
                          problem_.has(CUBLASLT_EPILOGUE_DGELU);
    aux_ = ptx_emulator_access_rows(
        operation.aux + bytes(static_cast<std::uint64_t>(
                            operation.aux_batch_stride * batch)),
        problem_.columns(), bytes(problem_.rows()),
        bytes(static_cast<std::uint64_t>(operation.aux_ld)),
        is_input ? AccessKind::kRead : AccessKind::kWrite,
        "cublasLtMatmul: the auxiliary matrix");
    aux_pitch_ = bytes(static_cast<std::uint64_t>(operation.aux_ld));
  }

  std::byte* aux_element(std::size_t row, std::size_t column) const {
    return aux_ + column * aux_pitch_ + row * element_size(problem_.d.type);
  }
  void set_mask(std::size_t row, std::size_t column, bool value) {
    std::byte& byte = aux_[column * aux_pitch_ + row / 8];
    const auto bit = std::byte{1} << (row % 8);
    byte = value ? byte | bit : byte & ~bit;
  }
  bool mask(std::size_t row, std::size_t column) const {
    return (aux_[column * aux_pitch_ + row / 8] >> (row % 8) & std::byte{1}) !=
           std::byte{0};
  }

  const Problem& problem_;
  std::byte* bias_ = nullptr;
  std::size_t bias_size_ = 0;
  std::byte* aux_ = nullptr;
  std::size_t aux_pitch_ = 0;
  std::vector<T> gradient_;
};

// ---- one product ----

template <class T>
void compute_entry(const Problem& p, const Factors<T>& factors,
                   std::int32_t batch) {
  const Matrix a = access(p.a, p.address_a, batch, AccessKind::kRead,
                          "cublasLtMatmul: matrix A");
  const Matrix b = access(p.b, p.address_b, batch, AccessKind::kRead,
                          "cublasLtMatmul: matrix B");
  Matrix c;
  if (factors.beta != T{0})
    c = access(p.c, p.address_c, batch, AccessKind::kRead,
               "cublasLtMatmul: matrix C");
  const std::int32_t compute = p.operation.compute_type;
  const bool plain_a = p.operation.transpose_a == CUBLAS_OP_N;
  const bool plain_b = p.operation.transpose_b == CUBLAS_OP_N;
  const auto element_a = [&](std::size_t i, std::size_t k) {
    return round_input(load<T>(plain_a ? a.at(i, k) : a.at(k, i), a.type),
                       compute);
  };
  const auto element_b = [&](std::size_t k, std::size_t j) {
    return round_input(load<T>(plain_b ? b.at(k, j) : b.at(j, k), b.type),
                       compute);
  };
  const std::vector<T> product =
      multiply<T>(p.rows(), p.columns(), p.depth(), element_a, element_b);
  Epilogue<T> epilogue(p, batch);
  const Matrix d = access(p.d, p.address_d, batch, AccessKind::kWrite,
                          "cublasLtMatmul: matrix D");
  for (std::size_t j = 0; j < p.columns(); ++j)
    for (std::size_t i = 0; i < p.rows(); ++i) {
      T x = factors.alpha * product[i * p.columns() + j];
      if (factors.beta != T{0}) x += factors.beta * load<T>(c.at(i, j), c.type);
      store(d.at(i, j), d.type, epilogue.apply(i, j, x));
    }
  for (std::size_t k = 0; k < p.depth(); ++k) {
    if (p.has(CUBLASLT_EPILOGUE_BGRADA))
      for (std::size_t i = 0; i < p.rows(); ++i)
        epilogue.gradient()[i] += element_a(i, k);
    if (p.has(CUBLASLT_EPILOGUE_BGRADB))
      for (std::size_t j = 0; j < p.columns(); ++j)
        epilogue.gradient()[j] += element_b(k, j);
  }
  epilogue.store_gradient();
}

template <class T>
void compute_as(const Problem& problem, const Scaling& scaling) {
  const Factors<T> factors = read_factors<T>(scaling);
  for (std::int32_t batch = 0; batch < problem.d.batch_count; ++batch)
    compute_entry<T>(problem, factors, batch);
}

std::size_t matrix_bytes(const MatrixLayout& layout) {
  return layout.rows * layout.columns * element_size(layout.type) *
         static_cast<std::size_t>(layout.batch_count);
}

}  // namespace

void compute(const Problem& problem, const Scaling& scaling) {
  if (problem.algorithm && problem.algorithm->workspace != 0)
    std::memset(
        access_vector(problem.workspace, problem.algorithm->workspace,
                      AccessKind::kWrite, "cublasLtMatmul: the workspace"),
        0xa5, problem.algorithm->workspace);
  if (problem.operation.scale_type == CUDA_R_64F)
    compute_as<double>(problem, scaling);
  else
    compute_as<float>(problem, scaling);
}

std::size_t bytes_read(const Problem& problem, const Scaling& scaling) {
  std::size_t bytes = matrix_bytes(problem.a) + matrix_bytes(problem.b);
  if (scaling.on_device || scaling.beta != 0) bytes += matrix_bytes(problem.c);
  if (problem.reads_bias())
    bytes += problem.bias_length() * element_size(problem.bias_type());
  return bytes;
}

std::size_t bytes_written(const Problem& problem) {
  std::size_t bytes = matrix_bytes(problem.d);
  if (problem.writes_bias())
    bytes += problem.bias_length() * element_size(problem.bias_type());
  return bytes;
}

}  // namespace ptx_emulator::cublaslt
