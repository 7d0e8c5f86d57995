"""Where the lazily loaded names of ``torch`` live."""

from __future__ import annotations

from .ops_py._index import FUNCTIONS

# Submodules; a value names another place.
LAZY_MODULES = dict.fromkeys(
    """
    accelerator amp ao autograd backends compiler cpu cuda distributed distributions export fft func functional futures
    fx hub jit library linalg masked monitor mps mtia multiprocessing nested nn onnx optim overrides package profiler
    quantization quasirandom random return_types serialization signal sparse special testing torch_version types utils
    version xpu __config__ _dynamo _higher_order_ops _inductor _library _ops _subclasses
    """.split(),
    "",
) | {"windows": "torch.signal.windows"}


def _at(module: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), module)


# Name to module, or module:attribute.
NAMES = {
    **FUNCTIONS,
    **_at(
        "nn.functional",
        """
        channel_shuffle pairwise_distance pdist
        """,
    ),
    **_at("random", "get_rng_state initial_seed manual_seed seed set_rng_state thread_safe_generator"),
    **_at("serialization", "load save"),
    **_at("utils._summary", "summary"),
    **_at("_tensor_str", "get_printoptions set_printoptions"),
    **_at(
        "_settings",
        """
        are_deterministic_algorithms_enabled compiled_with_cxx11_abi get_default_device get_deterministic_debug_mode
        get_device_module get_file_path get_float32_matmul_precision get_num_interop_threads has_lapack has_mkl
        has_openmp has_spectral is_deterministic_algorithms_warn_only_enabled is_vulkan_available
        is_warn_always_enabled prepare_multiprocessing_environment set_default_device set_default_dtype
        set_default_tensor_type set_deterministic_debug_mode set_float32_matmul_precision set_flush_denormal
        set_num_interop_threads set_warn_always use_deterministic_algorithms PRIVATE_OPS USE_GLOBAL_DEPS
        USE_RTLD_GLOBAL_WITH_LIBTORCH AVG SUM classes cpp
        """,
    ),
    **_at(
        "_quantized.qscheme",
        """
        per_channel_affine per_channel_affine_float_qparams per_channel_symmetric per_tensor_affine per_tensor_symmetric
        qscheme
        """,
    ),
    **_at(
        "_predicates",
        """
        classproperty get_device is_anomaly_check_nan_enabled is_anomaly_enabled is_distributed
        is_inference_mode_enabled is_storage is_tensor numel set_anomaly_enabled to_dlpack typename _assert
        """,
    ),
    **_at(
        "_checks",
        """
        _check _check_index _check_is_size _check_not_implemented _check_tensor_all _check_tensor_all_with _check_type
        _check_value _check_with
        """,
    ),
    **_at(
        "_symbolic",
        "SymBool SymFloat SymInt sym_float sym_fresh_size sym_int sym_ite sym_max sym_min sym_not sym_sqrt sym_sum",
    ),
    **_at(
        "_legacy_tensors",
        """
        BFloat16Tensor BoolTensor ByteTensor CharTensor DoubleTensor FloatTensor HalfTensor IntTensor LongTensor
        ShortTensor
        """,
    ),
    **_at(
        "sparse._make",
        """
        sparse_bsc_tensor sparse_bsr_tensor sparse_compressed_tensor sparse_coo_tensor sparse_csc_tensor
        sparse_csr_tensor
        """,
    ),
    **_at(
        "_quantized.make",
        """
        _choose_qparams_per_tensor _empty_affine_quantized _empty_per_channel_affine_quantized
        _make_per_channel_quantized_tensor _make_per_tensor_quantized_tensor choose_qparams_optimized dequantize
        empty_quantized int_repr q_per_channel_axis q_per_channel_scales q_per_channel_zero_points q_scale q_zero_point
        quantize_per_channel quantize_per_tensor quantize_per_tensor_dynamic
        """,
    ),
    **_at(
        "_quantized.fake",
        "fake_quantize_per_channel_affine fake_quantize_per_tensor_affine fused_moving_avg_obs_fake_quant",
    ),
    **_at("_quantized.norms:batch_norm", "quantized_batch_norm"),
    **_at("_quantized.recurrent", "quantized_gru quantized_lstm"),
    **_at("_quantized.arithmetic:max_pool1d", "quantized_max_pool1d"),
    **_at("_quantized.arithmetic:max_pool2d", "quantized_max_pool2d"),
    **_at("_quantized.arithmetic:max_pool3d", "quantized_max_pool3d"),
    **_at("_higher_order_ops", "cond while_loop"),
    **_at("_streams", "AcceleratorError Event FatalError Stream"),
    **_at(
        "amp._state",
        """
        autocast_decrement_nesting autocast_increment_nesting clear_autocast_cache get_autocast_cpu_dtype
        get_autocast_dtype get_autocast_gpu_dtype get_autocast_ipu_dtype get_autocast_xla_dtype
        is_autocast_cache_enabled is_autocast_cpu_enabled is_autocast_enabled is_autocast_ipu_enabled
        is_autocast_xla_enabled set_autocast_cache_enabled set_autocast_cpu_dtype set_autocast_cpu_enabled
        set_autocast_dtype set_autocast_enabled set_autocast_gpu_dtype set_autocast_ipu_dtype
        set_autocast_ipu_enabled set_autocast_xla_dtype set_autocast_xla_enabled
        """,
    ),
    **_at("amp", "GradScaler autocast"),
    **_at("distributions._pathwise", "_dirichlet_grad _standard_gamma_grad"),
    **_at("compiler", "compile"),
    "_disable_dynamo": "_dynamo.decorators:disable",
    **_at("func", "vmap"),
    **_at("futures", "Future"),
    **_at(
        "jit._types",
        """
        AnyType AwaitType BoolType ClassType ComplexType DeviceObjType DictType EnumType FloatType FutureType IntType
        InterfaceType ListType NoneType NumberType OptionalType PyObjectType RRefType StreamObjType StringType
        SymBoolType SymIntType TensorType TupleType Type UnionType
        """,
    ),
    **_at("jit._unit", "CompilationUnit"),
    **_at("jit._ir", "Block Graph Node Value"),
    **_at("jit._schemas", "Argument"),
    **_at("jit._script", "ScriptFunction ScriptMethod ScriptModule"),
    **_at("jit._objects", "ScriptObject"),
    **_at("jit", "fork wait"),
    **_at("_ops", "ops"),
    **_at("_tags", "Tag"),
    "FunctionSchema": "_schema",
    "parse_schema": "_schema:FunctionSchema",
    "DisableTorchFunction": "_C",
    "DisableTorchFunctionSubclass": "_C",
    "Storage": "storage:FloatStorage",
    "StorageBase": "storage:UntypedStorage",
}
