"""Public names of PyTorch that Tabula does not have: each says so, and why, when it is used."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TORCHSCRIPT = "it is an inner part of PyTorch's TorchScript; torch.jit has the public one"
_QUANTIZED = "it takes weights packed for FBGEMM; use torch.ops.quantized or torch.ao.nn.quantized"
_BACKEND = "it belongs to a library that Tabula does not use; call the operation's public form"
_INTERNAL = "it is an internal helper of PyTorch"

_FUNCTIONS = {
    _TORCHSCRIPT: """
        import_ir_module import_ir_module_from_buffer merge_type_from_type_comment parse_ir
        parse_type_comment unify_type_list
    """,
    _QUANTIZED: """
        fbgemm_linear_fp16_weight fbgemm_linear_fp16_weight_fp32_activation fbgemm_linear_int8_weight
        fbgemm_linear_int8_weight_fp32_activation fbgemm_linear_quantize_weight fbgemm_pack_gemm_matrix_fp16
        fbgemm_pack_quantized_matrix quantized_gru_cell quantized_lstm_cell quantized_rnn_relu_cell
        quantized_rnn_tanh_cell
    """,
    _BACKEND: """
        batch_norm_backward_elemt batch_norm_backward_reduce batch_norm_elemt batch_norm_gather_stats
        batch_norm_gather_stats_with_counts batch_norm_stats batch_norm_update_stats cudnn_affine_grid_generator
        cudnn_batch_norm cudnn_convolution cudnn_convolution_add_relu cudnn_convolution_relu
        cudnn_convolution_transpose cudnn_grid_sampler cudnn_is_acceptable miopen_batch_norm miopen_convolution
        miopen_convolution_add_relu miopen_convolution_relu miopen_convolution_transpose miopen_ctc_loss
        miopen_depthwise_convolution miopen_rnn mkldnn_adaptive_avg_pool2d mkldnn_convolution
        mkldnn_linear_backward_weights mkldnn_max_pool2d mkldnn_max_pool3d mkldnn_rnn_layer
    """,
    _INTERNAL: """
        init_num_threads native_norm lobpcg slice_inverse sym_constrain_range
        sym_constrain_range_for_size from_file norm_except_dim
        profiler_allow_cudagraph_cupti_lazy_reinit_cuda12 embedding_renorm_
    """,
}

_CLASSES = {
    _TORCHSCRIPT: """
        AliasDb ArgumentSpec BenchmarkConfig BenchmarkExecutionStats CallStack
        Capsule Code CompleteArgumentSpec ConcreteModuleType
        ConcreteModuleTypeBuilder DeepCopyMemoTable DeserializationStorageContext
        ErrorReport ExecutionPlan FileCheck Gradient GraphExecutorState
        IODescriptor InferredType JITException LiteScriptModule LockingLogger LoggerBase
        ModuleDict NoopLogger OperatorInfo ParameterDict BufferDict
        PyTorchFileReader PyTorchFileWriter ScriptClass ScriptClassFunction ScriptDict ScriptDictIterator
        ScriptDictKeyIterator ScriptList ScriptListIterator
        ScriptModuleSerializer ScriptObjectProperty SerializationStorageContext StaticModule
        ThroughputBenchmark TracingState Use
    """,
    _INTERNAL: "AggregationType DispatchKey DispatchKeySet ExcludeDispatchKeyGuard",
}

_reasons = {name: (reason, kind) for kind, table in (("function", _FUNCTIONS), ("class", _CLASSES))
            for reason, names in table.items() for name in names.split()}  # fmt: skip


def not_available(name: str, reason: str) -> NotImplementedError:
    """The error for a name of PyTorch that is missing."""
    return NotImplementedError(f"{name} is not part of Tabula yet: {reason}")


def missing_function(name: str, reason: str) -> Any:
    """A function that only says why it is missing."""

    def function(*args: Any, **kwargs: Any) -> Any:
        raise not_available(name, reason)

    function.__name__ = function.__qualname__ = name.rpartition(".")[2]
    function.__module__ = name.rpartition(".")[0]
    function.__doc__ = f"Not part of Tabula yet: {reason}."
    return function


def missing_class(name: str, reason: str) -> Any:
    """A class whose construction says why it is missing: annotations and ``isinstance`` still work."""

    def refuse(cls: Any, *args: Any, **kwargs: Any) -> Any:
        raise not_available(name, reason)

    short = name.rpartition(".")[2]
    body = {"__new__": refuse, "__module__": name.rpartition(".")[0], "__doc__": f"Not part of Tabula yet: {reason}."}
    return type(short, (), body)


def is_missing(name: str) -> bool:
    """Whether a name of ``torch`` has a stand-in."""
    return name in _reasons


def missing(name: str) -> Any:
    """The stand-in for a name of ``torch``; AttributeError for one that PyTorch does not have either."""
    if not is_missing(name):
        raise AttributeError(f"module 'torch' has no attribute '{name}'")
    reason, kind = _reasons[name]
    return (missing_class if kind == "class" else missing_function)(f"torch.{name}", reason)
