"""Which composite lives in which module. ``torch`` and ``Tensor`` attach them by these tables, without loading them."""

from __future__ import annotations

_MODULES = {
    "shapes": """
        atleast_1d atleast_2d atleast_3d block_diag broadcast_shapes broadcast_tensors cartesian_prod column_stack
        combinations diag diag_embed diagflat dsplit dstack fliplr flipud hsplit hstack meshgrid rot90 row_stack
        trace unravel_index vsplit vstack
    """,
    "copies": """
        alias_copy as_strided_copy detach_copy diagonal_copy diagonal_scatter expand_copy narrow_copy
        permute_copy select_copy select_scatter slice_copy slice_scatter split_copy split_with_sizes_copy squeeze_copy
        t_copy transpose_copy unbind_copy unfold_copy unsqueeze_copy view_as_complex_copy view_as_real_copy view_copy
    """,
    "contraction": "chain_matmul einsum inner kron tensordot",
    "comparison": "cdist isin isreal renorm",
    "statistics": "corrcoef cov histogram histogramdd nanquantile quantile",
    "calculus": "cumulative_trapezoid diff gradient trapezoid trapz",
    "windows": "bartlett_window blackman_window hamming_window hann_window kaiser_window",
    "short_time": "istft stft",
    "decompositions": "lu pca_lowrank svd_lowrank",
    "norms": "norm",
    "recurrent": "gru gru_cell lstm lstm_cell rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell",
    "low_level": """
        affine_grid_generator as_strided_ detach_ embedding_bag grid_sampler grid_sampler_2d grid_sampler_3d ldexp_
        native_channel_shuffle unsafe_chunk unsafe_split unsafe_split_with_sizes
    """,
    "losses": """
        cosine_embedding_loss ctc_loss hinge_embedding_loss margin_ranking_loss poisson_nll_loss triplet_margin_loss
    """,
    "segments": "_segment_reduce=segment_reduce hash_tensor segment_reduce",
    "aten_internal": "_chunk_cat _scaled_mm _unsafe_masked_index _unsafe_masked_index_put_accumulate",
    "removed": "eig lstsq matrix_rank solve symeig",
}


def _table() -> dict[str, str]:
    table = {}
    for module, names in _MODULES.items():
        for entry in names.split():
            name, _, attribute = entry.partition("=")
            table[name] = f"ops_py.{module}:{attribute}" if attribute else f"ops_py.{module}"
    return table


FUNCTIONS = _table()

# Those that are methods of Tensor too, and those of these with an in-place form.
METHODS = """
    corrcoef cov diag diag_embed diagflat diagonal_scatter diff dsplit fliplr flipud hash_tensor histogram
    hsplit inner isreal istft kron nanquantile narrow_copy quantile renorm rot90 select_scatter slice_scatter
    stft trace unsafe_chunk unsafe_split unsafe_split_with_sizes vsplit eig lstsq solve symeig
""".split()
METHOD_ONLY = {
    "norm": "ops_py.norms",
    "lu": "ops_py.decompositions:lu_method",
    **dict.fromkeys(
        """
        __complex__ __idiv__ __long__ __nonzero__ apply_ const_data_ptr dequantize fill_diagonal_ index
        ipu is_distributed is_set_to map2_ map_ mtia pin_memory record_stream resize resize_as slice_inverse
        storage_type to_mkldnn to_padded_tensor xpu
        """.split(),
        "ops_py.tensor_methods",
    ),
    **dict.fromkeys(
        """
        int_repr q_per_channel_axis q_per_channel_scales q_per_channel_zero_points q_scale q_zero_point qscheme
        """.split(),
        "_quantized.make",
    ),
}
IN_PLACE = ("renorm",)
