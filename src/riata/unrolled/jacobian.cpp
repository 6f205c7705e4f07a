#include "riata/unrolled/jacobian.hpp"

#include "riata/core/check.hpp"
#include "riata/core/stopping.hpp"
#include "riata/linalg/blas.hpp"
#include "riata/operators/units.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/tile_certificate.hpp"
#include "riata/unrolled/tangents.hpp"
#include "riata/unrolled/unrolled_layers.hpp"

namespace riata {

template <Scalar T>
Matrix<T> code_jacobian(const NonDeduced<ConstVectorRef<T>>& x, const DenseDictionary<T>& D, const Reg& reg, Index row,
                        const UnrolledOptions& options, std::optional<int> backprop) {
  require_l1("code_jacobian", options.penalty);
  const StopScope scope(options.execution);
  const LayerSchedule schedule = make_schedule(options, D);
  require_signals<T>("code_jacobian", ConstMatrixRef<T>(x), D);
  require_row(row, D.signal_size());
  const int kept = kept_layers(backprop, options.n_layers);
  const L1<double> penalty(options.penalty, D.code_size());
  const auto weight = static_cast<double>(resolve_reg<T>(reg, ConstMatrixRef<T>(x), D, options.penalty, options.execution)(0));
  const Matrix<double> atoms = D.atoms().template cast<double>();
  const Vector<double> signal = x.template cast<double>();
  const SignalTrace trace(atoms, signal, weight, penalty, schedule);

  const Index n_atoms = D.code_size();
  Matrix<double> gram(n_atoms, n_atoms);
  multiply_transposed<double>(atoms, atoms, gram);
  // One direction per entry of the row.
  const RowDirections directions{.rows = std::vector<Index>(static_cast<std::size_t>(n_atoms), row),
                                 .weights = Matrix<double>::Identity(n_atoms, n_atoms)};
  const Matrix<double> atoms_of_rows = atoms_of(directions, atoms);
  Tangents tangents(trace, gram, directions, atoms_of_rows, options.n_layers - kept);
  while (tangents.layer() < options.n_layers) {
    leave_if_stopped();
    tangents.advance();
  }
  const Matrix<double> J = options.return_extrapolated ? tangents.dense_extrapolated() : tangents.dense();
  const Matrix<T> result = J.transpose().template cast<T>();
  require_fits("code_jacobian", J, result);
  return result;  // row k of `dense` is the derivative along entry k
}

template Matrix<float> code_jacobian<float>(const ConstVectorRef<float>&, const DenseDictionary<float>&, const Reg&, Index,
                                            const UnrolledOptions&, std::optional<int>);
template Matrix<double> code_jacobian<double>(const ConstVectorRef<double>&, const DenseDictionary<double>&, const Reg&, Index,
                                              const UnrolledOptions&, std::optional<int>);

}  // namespace riata
