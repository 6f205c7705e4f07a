#include "riata/optim/question.hpp"

namespace riata {

const char* to_string(Piece piece) {
  switch (piece) {
    case Piece::value:
      return "value";
    case Piece::gradient:
      return "gradient";
    case Piece::statistics:
      return "statistics";
    case Piece::codes:
      return "codes";
    case Piece::codes_by_atom:
      return "codes by atom";
  }
  return "unknown";
}

}  // namespace riata
