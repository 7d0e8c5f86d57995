"""Values as TensorBoard's protocol buffers."""

from __future__ import annotations

import struct

import torch

from ._arrays import convert_to_hwc, make_np, tiled_video
from ._protos import needed, proto

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "audio",
    "compute_curve",
    "custom_scalars",
    "draw_boxes",
    "half_to_int",
    "histogram",
    "histogram_raw",
    "hparams",
    "image",
    "image_boxes",
    "int_to_half",
    "make_histogram",
    "make_image",
    "make_video",
    "mesh",
    "pr_curve",
    "pr_curve_raw",
    "scalar",
    "tensor_proto",
    "text",
    "video",
]

_LEAST_COUNT = 1e-7  # a divisor that is never 0


def half_to_int(f: float) -> int:
    """The bits of a float32."""
    return struct.unpack("i", struct.pack("f", f))[0]


def int_to_half(i: int) -> float:
    """The float32 with these bits."""
    return struct.unpack("f", struct.pack("i", i))[0]


def _summary(**value: Any) -> Any:
    kinds = proto("summary").Summary
    return kinds(value=[kinds.Value(**value)])


def _metadata(plugin: str, content: bytes = b"") -> Any:
    kinds = proto("summary").SummaryMetadata
    return kinds(plugin_data=kinds.PluginData(plugin_name=plugin, content=content))


def _shape(sizes: Any) -> Any:
    kinds = proto("tensor_shape").TensorShapeProto
    return kinds(dim=[kinds.Dim(size=size) for size in sizes])


def scalar(
    name: str, tensor: Any, collections: Any = None, new_style: bool = False, double_precision: bool = False
) -> Any:
    """One number. ``new_style`` writes a tensor, in float64 with ``double_precision``.

    AssertionError for more than one element.
    """
    tensor = make_np(tensor).squeeze()
    if tensor.ndim != 0:
        raise AssertionError(
            f"Tensor should contain one element (0 dimensions).             Was given size: {tensor.size} and "
            f"{tensor.ndim} dimensions."
        )
    number = float(tensor)
    if not new_style:
        return _summary(tag=name, simple_value=number)
    field = {"dtype": "DT_DOUBLE", "double_val": [number]} if double_precision else {
        "dtype": "DT_FLOAT", "float_val": [number]}  # fmt: skip
    return _summary(tag=name, tensor=proto("tensor").TensorProto(**field), metadata=_metadata("scalars"))


def _half_bits(t: torch.Tensor) -> list[int]:
    return t.view(torch.uint16).tolist()


def _complex_parts(t: torch.Tensor) -> list[float]:
    return torch.view_as_real(t).flatten().tolist()


# What TensorFlow calls a dtype, which field has the elements, and how they are listed.
_TENSOR_FIELDS: dict[torch.dtype, tuple[str, str, Any]] = {
    torch.half: ("DT_HALF", "half_val", _half_bits),
    torch.bfloat16: ("DT_BFLOAT16", "half_val", _half_bits),
    torch.float32: ("DT_FLOAT", "float_val", torch.Tensor.tolist),
    torch.float64: ("DT_DOUBLE", "double_val", torch.Tensor.tolist),
    torch.int8: ("DT_INT8", "int_val", torch.Tensor.tolist),
    torch.uint8: ("DT_UINT8", "uint32_val", torch.Tensor.tolist),
    torch.int16: ("DT_INT16", "int_val", torch.Tensor.tolist),
    torch.int32: ("DT_INT32", "int_val", torch.Tensor.tolist),
    torch.int64: ("DT_INT64", "int64_val", torch.Tensor.tolist),
    torch.bool: ("DT_BOOL", "bool_val", torch.Tensor.tolist),
    torch.complex64: ("DT_COMPLEX64", "scomplex_val", _complex_parts),
    torch.complex128: ("DT_COMPLEX128", "dcomplex_val", _complex_parts),
}


def tensor_proto(tag: str, tensor: torch.Tensor) -> Any:
    """A tensor with all its elements; ValueError for one of 2 GB and more, and for dtypes that TensorFlow has not."""
    if tensor.numel() * tensor.itemsize >= 1 << 31:
        raise ValueError("tensor is bigger than protocol buffer's hard limit of 2GB in size")
    if tensor.dtype not in _TENSOR_FIELDS:
        raise ValueError(f"{tag} has unsupported tensor dtype {tensor.dtype}")
    dtype, field, elements = _TENSOR_FIELDS[tensor.dtype]
    content = {field: elements(tensor.detach().cpu().contiguous().reshape(-1))}
    made = proto("tensor").TensorProto(dtype=dtype, tensor_shape=_shape(tensor.shape), **content)
    return _summary(tag=tag, tensor=made, metadata=_metadata("tensor"))


# ---- histograms


def histogram_raw(
    name: str, min: float, max: float, num: float, sum: float, sum_squares: float, bucket_limits: Any,
    bucket_counts: Any,
) -> Any:  # fmt: skip
    """A histogram that was counted elsewhere: the upper limit and the count of each bucket."""
    made = proto("summary").HistogramProto(
        min=min, max=max, num=num, sum=sum, sum_squares=sum_squares, bucket_limit=bucket_limits, bucket=bucket_counts
    )
    return _summary(tag=name, histo=made)


def histogram(name: str, values: Any, bins: Any, max_bins: int | None = None) -> Any:
    """The histogram of an array."""
    return _summary(tag=name, histo=make_histogram(make_np(values).astype(float), bins, max_bins))


def make_histogram(values: Any, bins: Any, max_bins: int | None = None) -> Any:
    """Count values in bins: their limits, or what ``numpy.histogram`` takes. Empty ones at both ends are left out.

    ``max_bins`` joins neighbours until there are no more. ValueError for no values, and where none is in a bin.
    """
    import numpy as np

    if values.size == 0:
        raise ValueError("The input has no element.")
    values = values.reshape(-1)
    counts, limits = np.histogram(values, bins=bins)
    if max_bins is not None and len(counts) > max_bins:
        joined = len(counts) // max_bins
        missing = -len(counts) % joined
        counts = np.pad(counts, (0, missing)).reshape(-1, joined).sum(axis=1)
        limits = np.append(limits[:-1:joined], limits[-1])
    filled = np.flatnonzero(counts)
    if filled.size == 0:
        raise ValueError("The histogram is empty, please file a bug report.")
    first, last = int(filled[0]), int(filled[-1]) + 1
    # one empty bucket before the first says where that begins
    counts = np.concatenate([[0], counts[first:last]])
    limits = limits[first : last + 1]
    return proto("summary").HistogramProto(
        min=values.min(), max=values.max(), num=len(values), sum=values.sum(), sum_squares=values.dot(values),
        bucket_limit=limits.tolist(), bucket=counts.tolist(),
    )  # fmt: skip


# ---- pictures


def _scale_of(tensor: Any) -> int:
    """What brings values to 0 .. 255: 1 for bytes, 255 for the rest, which is from 0 to 1."""
    return 1 if tensor.dtype.name == "uint8" else 255


def _pixels(tensor: Any, scale: int) -> Any:
    return (tensor.astype("float32") * scale).clip(0, 255).astype("uint8")


def image(tag: str, tensor: Any, rescale: float = 1, dataformats: str = "NCHW") -> Any:
    """A picture, or several as one: values from 0 to 1, or bytes. ``dataformats`` names the dimensions."""
    tensor = make_np(tensor)
    scale = _scale_of(tensor)
    tensor = convert_to_hwc(tensor, dataformats).astype("float32")
    return _summary(tag=tag, image=make_image(_pixels(tensor, scale), rescale=rescale))


def image_boxes(
    tag: str, tensor_image: Any, tensor_boxes: Any, rescale: float = 1, dataformats: str = "CHW", labels: Any = None
) -> Any:
    """A picture with boxes (left, top, right, bottom) in pixels."""
    picture = make_np(tensor_image)
    scale = _scale_of(picture)
    picture = convert_to_hwc(picture, dataformats)
    boxes = make_np(tensor_boxes)
    made = make_image(_pixels(picture, scale), rescale=rescale, rois=boxes, labels=labels)
    return _summary(tag=tag, image=made)


def draw_boxes(disp_image: Any, boxes: Any, labels: Any = None) -> Any:
    """Draw boxes, and a label at the bottom of each, into a picture of PIL."""
    draw, font = needed("PIL.ImageDraw").Draw(disp_image), needed("PIL.ImageFont").load_default()
    for i, (left, top, right, bottom) in enumerate(boxes[:, :4]):
        draw.line([(left, top), (left, bottom), (right, bottom), (right, top), (left, top)], width=2, fill="Red")
        if labels is None:
            continue
        box = font.getbbox(labels[i])
        width, height = box[2] - box[0], box[3] - box[1]
        margin = -(-height // 20)
        low = bottom
        draw.rectangle([(left, low - height - 2 * margin), (left + width, low)], fill="Red")
        draw.text((left + margin, low - height - margin), labels[i], fill="black", font=font)
    return disp_image


def make_image(tensor: Any, rescale: float = 1, rois: Any = None, labels: Any = None) -> Any:
    """Bytes (H, W, C) as a PNG, resized by a factor, with boxes."""
    import io

    images = needed("PIL.Image")
    height, width, channel = tensor.shape
    size = int(width * rescale), int(height * rescale)
    picture = images.fromarray(tensor)
    if rois is not None:
        picture = draw_boxes(picture, rois, labels=labels)
    picture = picture.resize(size, images.Resampling.LANCZOS)
    output = io.BytesIO()
    picture.save(output, format="PNG")
    return proto("summary").Summary.Image(
        height=size[1], width=size[0], colorspace=channel, encoded_image_string=output.getvalue()
    )


def video(tag: str, tensor: Any, fps: int = 4) -> Any:
    """Videos (N, T, C, H, W), side by side, as one that moves: a GIF."""
    tensor = make_np(tensor)
    scale = _scale_of(tensor)
    return _summary(tag=tag, image=make_video(_pixels(tiled_video(tensor), 255 if scale == 1 else scale), fps))


def make_video(tensor: Any, fps: int) -> Any:
    """Frames (T, H, W, C) of bytes as a GIF with so many frames a second."""
    import io

    images = needed("PIL.Image")
    _, height, width, channel = tensor.shape
    frames = [images.fromarray(frame[:, :, 0] if channel == 1 else frame) for frame in tensor]
    output = io.BytesIO()
    frames[0].save(output, format="GIF", save_all=True, append_images=frames[1:], duration=round(1000 / fps), loop=0)
    return proto("summary").Summary.Image(
        height=height, width=width, colorspace=channel, encoded_image_string=output.getvalue()
    )


# ---- sound and text


def audio(tag: str, tensor: Any, sample_rate: int = 44100) -> Any:
    """A sound of one channel, values from -1 to 1, as 16-bit WAV. AssertionError for more dimensions than one."""
    import io
    import wave

    import numpy as np

    samples = make_np(tensor)
    if np.abs(samples).max() > 1:
        print("warning: audio amplitude out of range, auto clipped.")
        samples = samples.clip(-1, 1)
    samples = samples.squeeze()
    if samples.ndim != 1:
        raise AssertionError("input tensor should be 1 dimensional.")
    samples = (samples * np.iinfo(np.int16).max).astype("<i2")
    output = io.BytesIO()
    with wave.open(output, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(samples.data)
    made = proto("summary").Summary.Audio(
        sample_rate=sample_rate, num_channels=1, length_frames=samples.shape[-1],
        encoded_audio_string=output.getvalue(), content_type="audio/wav",
    )  # fmt: skip
    return _summary(tag=tag, audio=made)


def text(tag: str, text: str) -> Any:
    """A text, which TensorBoard reads as Markdown."""
    made = proto("tensor").TensorProto(
        dtype="DT_STRING", string_val=[text.encode("utf-8")], tensor_shape=_shape([1])
    )
    return _summary(tag=tag + "/text_summary", tensor=made, metadata=_metadata("text"))


# ---- curves


def compute_curve(labels: Any, predictions: Any, num_thresholds: int | None = None, weights: Any = None) -> Any:
    """True and false positives, true and false negatives, precision and recall for thresholds from 0 to 1: (6, n)."""
    import numpy as np

    count = num_thresholds or 127
    weights = 1.0 if weights is None else weights
    # a prediction is positive for all thresholds up to that of its bucket
    buckets = np.int32(np.floor(predictions * (count - 1)))
    labels = labels.astype(float)
    span = (0, count - 1)
    positive, _ = np.histogram(buckets, bins=count, range=span, weights=labels * weights)
    negative, _ = np.histogram(buckets, bins=count, range=span, weights=(1.0 - labels) * weights)
    tp, fp = np.cumsum(positive[::-1])[::-1], np.cumsum(negative[::-1])[::-1]
    tn, fn = fp[0] - fp, tp[0] - tp
    precision, recall = tp / np.maximum(_LEAST_COUNT, tp + fp), tp / np.maximum(_LEAST_COUNT, tp + fn)
    return np.stack((tp, fp, tn, fn, precision, recall))


def _pr_summary(tag: str, data: Any, num_thresholds: int) -> Any:
    content = needed("tensorboard.plugins.pr_curve.plugin_data_pb2").PrCurvePluginData(
        version=0, num_thresholds=num_thresholds
    )
    made = proto("tensor").TensorProto(
        dtype="DT_FLOAT", float_val=data.reshape(-1).tolist(), tensor_shape=_shape(data.shape)
    )
    return _summary(tag=tag, tensor=made, metadata=_metadata("pr_curves", content.SerializeToString()))


def pr_curve_raw(
    tag: str, tp: Any, fp: Any, tn: Any, fn: Any, precision: Any, recall: Any, num_thresholds: int = 127,
    weights: Any = None,
) -> Any:  # fmt: skip
    """A curve that was counted elsewhere; at most 127 thresholds."""
    import numpy as np

    return _pr_summary(tag, np.stack((tp, fp, tn, fn, precision, recall)), min(num_thresholds, 127))


def pr_curve(tag: str, labels: Any, predictions: Any, num_thresholds: int = 127, weights: Any = None) -> Any:
    """Precision and recall of predictions from 0 to 1 for labels 0 and 1; at most 127 thresholds."""
    count = min(num_thresholds, 127)
    return _pr_summary(tag, compute_curve(labels, predictions, num_thresholds=count, weights=weights), count)


# ---- hyperparameters, layouts, meshes


def hparams(hparam_dict: Any = None, metric_dict: Any = None, hparam_domain_discrete: Any = None) -> Any:
    """Three summaries of one run: which hyperparameters and metrics there are, the run's values, and its end.

    Values are numbers, texts, bools or tensors of one element; None is left out. ``hparam_domain_discrete`` lists what
    a hyperparameter may be. TypeError for what is no dictionary or no such list, ValueError for other values.
    """
    api = needed("tensorboard.plugins.hparams.api_pb2")
    data = needed("tensorboard.plugins.hparams.plugin_data_pb2")
    names = needed("tensorboard.plugins.hparams.metadata")
    values = needed("google.protobuf.struct_pb2")
    if not isinstance(hparam_dict, dict) or not isinstance(metric_dict, dict):
        raise TypeError("Both hparam_dict and metric_dict should be dictionary.")
    domains = hparam_domain_discrete or {}
    if not isinstance(domains, dict):
        raise TypeError("hparam_domain_discrete should be a dictionary.")
    for name, allowed in domains.items():
        fits = name in hparam_dict and isinstance(allowed, list)
        if not fits or not all(isinstance(value, type(hparam_dict[name])) for value in allowed):
            raise TypeError(
                f"parameter: hparam_domain_discrete[{name}] should be a list of same type as hparam_dict[{name}]."
            )

    start = data.SessionStartInfo()
    infos = []
    for name, value in hparam_dict.items():
        if value is None:
            continue
        if isinstance(value, (int, float)):  # bools too
            start.hparams[name].number_value = value
            kind, field = "DATA_TYPE_FLOAT64", "number_value"
        elif isinstance(value, str):
            start.hparams[name].string_value = value
            kind, field = "DATA_TYPE_STRING", "string_value"
        elif isinstance(value, torch.Tensor):
            start.hparams[name].number_value = float(make_np(value).reshape(-1)[0])
            kind, field = "DATA_TYPE_FLOAT64", "number_value"
        else:
            raise ValueError("value should be one of int, float, str, bool, or torch.Tensor")
        domain = None
        if name in domains:
            domain = values.ListValue(values=[values.Value(**{field: allowed}) for allowed in domains[name]])
        infos.append(api.HParamInfo(name=name, type=api.DataType.Value(kind), domain_discrete=domain))
    metrics = [api.MetricInfo(name=api.MetricName(tag=name)) for name in metric_dict]

    def part(tag: str, **content: Any) -> Any:
        made = data.HParamsPluginData(version=names.PLUGIN_DATA_VERSION, **content)
        return _summary(tag=tag, metadata=_metadata(names.PLUGIN_NAME, made.SerializeToString()))

    end = data.SessionEndInfo(status=api.Status.Value("STATUS_SUCCESS"))
    return (
        part(names.EXPERIMENT_TAG, experiment=api.Experiment(hparam_infos=infos, metric_infos=metrics)),
        part(names.SESSION_START_INFO_TAG, session_start_info=start),
        part(names.SESSION_END_INFO_TAG, session_end_info=end),
    )


def custom_scalars(layout: dict[str, dict[str, list[Any]]]) -> Any:
    """Which scalars share a chart: ``{category: {title: ["Multiline", tags] or ["Margin", [value, low, high]]}}``.

    AssertionError for a margin of other than three tags.
    """
    kinds = needed("tensorboard.plugins.custom_scalar.layout_pb2")
    categories = []
    for category, charts in layout.items():
        made = []
        for title, (kind, tags) in charts.items():
            if kind == "Margin":
                if len(tags) != 3:
                    raise AssertionError("len(tags) != 3")
                value, low, high = tags
                series = kinds.MarginChartContent.Series(value=value, lower=low, upper=high)
                made.append(kinds.Chart(title=title, margin=kinds.MarginChartContent(series=[series])))
            else:
                made.append(kinds.Chart(title=title, multiline=kinds.MultilineChartContent(tag=tags)))
        categories.append(kinds.Category(title=category, chart=made))
    content = kinds.Layout(category=categories).SerializeToString()
    made = proto("tensor").TensorProto(dtype="DT_STRING", string_val=[content], tensor_shape=_shape([]))
    return _summary(tag="custom_scalars__config__", tensor=made, metadata=_metadata("custom_scalars"))


def mesh(
    tag: str, vertices: Any, colors: Any, faces: Any, config_dict: Any, display_name: Any = None,
    description: Any = None,
) -> Any:  # fmt: skip
    """A mesh, or a cloud of points: vertices and colours (1, N, 3), faces (1, M, 3); a summary of a value for each.

    ``config_dict`` describes the scene, as JSON.
    """
    import json

    names = needed("tensorboard.plugins.mesh.metadata")
    kinds = needed("tensorboard.plugins.mesh.plugin_data_pb2").MeshPluginData
    parts = [
        (tensor, kind)
        for tensor, kind in ((vertices, kinds.VERTEX), (faces, kinds.FACE), (colors, kinds.COLOR))
        if tensor is not None
    ]
    components = names.get_components_bitmask([kind for _, kind in parts])
    config = json.dumps(config_dict, sort_keys=True) if config_dict is not None else "{}"
    values = []
    for tensor, kind in parts:
        metadata = names.create_summary_metadata(
            tag, display_name, kind, components, tensor.shape, description, json_config=config
        )
        made = proto("tensor").TensorProto(
            dtype="DT_FLOAT", float_val=tensor.float().reshape(-1).tolist(), tensor_shape=_shape(tensor.shape)
        )
        values.append(
            proto("summary").Summary.Value(tag=names.get_instance_name(tag, kind), tensor=made, metadata=metadata)
        )
    return proto("summary").Summary(value=values)
