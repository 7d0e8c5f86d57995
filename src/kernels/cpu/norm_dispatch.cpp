#include "kernels/cpu/norm_isa.h"

namespace tabula::kernels {

Kernel<void(const RowNormCall&)> row_norm("row_norm", TABULA_PICK(row_norm_forward));
Kernel<void(const RowNormCall&)> row_norm_backward("row_norm_backward", TABULA_PICK(row_norm_gradient));
Kernel<void(const GroupNormCall&)> group_norm("group_norm", TABULA_PICK(group_norm_forward));
Kernel<void(const GroupNormCall&)> group_norm_backward("group_norm_backward", TABULA_PICK(group_norm_gradient));
Kernel<void(const BatchNormCall&)> batch_norm_statistics("batch_norm_statistics", TABULA_PICK(batch_norm_stats));
Kernel<void(const BatchNormCall&)> batch_norm_apply("batch_norm_apply", TABULA_PICK(batch_norm_forward));
Kernel<void(const BatchNormCall&)> batch_norm_backward("batch_norm_backward", TABULA_PICK(batch_norm_gradient));

}  // namespace tabula::kernels
