// riata: sparse coding and dictionary learning by unrolled optimisation. This header gives all of it.
#pragma once

#include "riata/datasets/generators.hpp"
#include "riata/imaging/denoise.hpp"
#include "riata/learning/learn_dictionary.hpp"
#include "riata/learning/model.hpp"
#include "riata/learning/recovery.hpp"
#include "riata/operators/patches.hpp"
#include "riata/solvers/certificate.hpp"
#include "riata/solvers/encode.hpp"
#include "riata/solvers/encode_stream.hpp"
#include "riata/solvers/implicit.hpp"
#include "riata/solvers/lars.hpp"
#include "riata/solvers/omp.hpp"
#include "riata/unrolled/jacobian.hpp"
#include "riata/unrolled/stability.hpp"
#include "riata/unrolled/unrolled.hpp"
