"""``SummaryWriter``: the events of a training in files that TensorBoard reads."""

from __future__ import annotations

import os
import time

from . import summary
from ._arrays import figure_to_image, make_np
from ._protos import needed, proto

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["FileWriter", "SummaryWriter"]


class FileWriter:
    """Writes protocol buffers to one file of events in a folder, by a thread of its own.

    Args:
        log_dir: the folder, which is made.
        max_queue: how many events may wait.
        flush_secs: how often waiting events are written.
        filename_suffix: at the end of the file's name.

    Raises ModuleNotFoundError without the package tensorboard.
    """

    def __init__(
        self, log_dir: str, max_queue: int = 10, flush_secs: float = 120, filename_suffix: str = ""
    ) -> None:
        writer = needed("tensorboard.summary.writer.event_file_writer").EventFileWriter
        self.event_writer = writer(str(log_dir), max_queue, flush_secs, filename_suffix)

    def get_logdir(self) -> str:
        """The folder."""
        return self.event_writer.get_logdir()

    def add_event(self, event: Any, step: int | None = None, walltime: float | None = None) -> None:
        """Write an event, at a step and time: now unless given."""
        event.wall_time = time.time() if walltime is None else walltime
        if step is not None:
            event.step = int(step)
        self.event_writer.add_event(event)

    def add_summary(self, summary: Any, global_step: int | None = None, walltime: float | None = None) -> None:
        """Write a summary."""
        self.add_event(proto("event").Event(summary=summary), global_step, walltime)

    def add_graph(self, graph_profile: Any, walltime: float | None = None) -> None:
        """Write a pair of GraphDef and RunMetadata."""
        graph, stats = graph_profile
        events = proto("event")
        self.add_event(events.Event(graph_def=graph.SerializeToString()), None, walltime)
        run = events.TaggedRunMetadata(tag="step1", run_metadata=stats.SerializeToString())
        self.add_event(events.Event(tagged_run_metadata=run), None, walltime)

    def add_onnx_graph(self, graph: Any, walltime: float | None = None) -> None:
        """Write a GraphDef."""
        self.add_event(proto("event").Event(graph_def=graph.SerializeToString()), None, walltime)

    def flush(self) -> None:
        """Write what waits."""
        self.event_writer.flush()

    def close(self) -> None:
        """Write what waits, and close the file."""
        self.event_writer.close()

    def reopen(self) -> None:
        """Open the file again."""
        self.event_writer.reopen()


class SummaryWriter:
    """Writes values, pictures, sounds, graphs and more to a folder that TensorBoard shows.

    Args:
        log_dir: the folder; ``runs/DATE_HOST`` and ``comment`` unless given.
        comment: at the end of the default folder's name.
        purge_step: values from this step on that an earlier run has written there are forgotten.
        max_queue, flush_secs, filename_suffix: see ``FileWriter``.

    ``global_step`` is the number of the training's step, ``walltime`` the time in seconds of an event. Tensors and
    arrays are taken alike. ``writer`` can be used in a ``with`` statement, which closes it.
    """

    def __init__(
        self, log_dir: Any = None, comment: str = "", purge_step: int | None = None, max_queue: int = 10,
        flush_secs: float = 120, filename_suffix: str = "",
    ) -> None:  # fmt: skip
        if not log_dir:
            import socket
            from datetime import datetime

            begun = datetime.now().strftime("%b%d_%H-%M-%S")
            log_dir = os.path.join("runs", f"{begun}_{socket.gethostname()}{comment}")
        self.log_dir = log_dir
        self.purge_step, self.max_queue, self.flush_secs = purge_step, max_queue, flush_secs
        self.filename_suffix = filename_suffix
        self.file_writer: FileWriter | None = None
        self.all_writers: dict[str, FileWriter] | None = None
        self._get_file_writer()
        upward = [1e-12]
        while (larger := upward[-1] * 1.1) < 1e20:
            upward.append(larger)
        self.default_bins = [-x for x in reversed(upward)] + [0.0] + upward

    def _get_file_writer(self) -> FileWriter:
        """The writer, which is made anew after ``close``."""
        if self.all_writers is None or self.file_writer is None:
            self.file_writer = FileWriter(self.log_dir, self.max_queue, self.flush_secs, self.filename_suffix)
            self.all_writers = {self.file_writer.get_logdir(): self.file_writer}
            if self.purge_step is not None:
                events = proto("event")
                self.file_writer.add_event(events.Event(step=self.purge_step, file_version="brain.Event:2"))
                begun = events.SessionLog(status=events.SessionLog.START)
                self.file_writer.add_event(events.Event(step=self.purge_step, session_log=begun))
                self.purge_step = None
        return self.file_writer

    @staticmethod
    def _encode(rawstr: str) -> str:
        """A text as a part of a path."""
        return rawstr.replace("/", f"%{ord('/'):02x}")

    def get_logdir(self) -> Any:
        """The folder."""
        return self.log_dir

    def _write(self, made: Any, global_step: int | None, walltime: float | None) -> None:
        self._get_file_writer().add_summary(made, global_step, walltime)

    def add_scalar(
        self, tag: str, scalar_value: Any, global_step: int | None = None, walltime: float | None = None,
        new_style: bool = False, double_precision: bool = False,
    ) -> None:  # fmt: skip
        """A number. ``new_style`` writes a tensor, in float64 with ``double_precision``."""
        made = summary.scalar(tag, scalar_value, new_style=new_style, double_precision=double_precision)
        self._write(made, global_step, walltime)

    def add_scalars(
        self, main_tag: str, tag_scalar_dict: dict[str, Any], global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:  # fmt: skip
        """Numbers that share a chart: each is written in a folder of its own."""
        now = time.time() if walltime is None else walltime
        for tag, value in tag_scalar_dict.items():
            self._writer_in(f"{self._get_file_writer().get_logdir()}/{main_tag.replace('/', '_')}_{tag}").add_summary(
                summary.scalar(main_tag, value), global_step, now
            )

    def _writer_in(self, folder: str) -> FileWriter:
        writers = self.all_writers
        assert writers is not None
        if folder not in writers:
            writers[folder] = FileWriter(folder, self.max_queue, self.flush_secs, self.filename_suffix)
        return writers[folder]

    def add_tensor(
        self, tag: str, tensor: Any, global_step: int | None = None, walltime: float | None = None
    ) -> None:
        """A tensor with all its elements."""
        self._write(summary.tensor_proto(tag, tensor), global_step, walltime)

    def add_histogram(
        self, tag: str, values: Any, global_step: int | None = None, bins: Any = "tensorflow",
        walltime: float | None = None, max_bins: int | None = None,
    ) -> None:  # fmt: skip
        """The histogram of a tensor. ``bins``: limits that grow by a tenth each, or what ``numpy.histogram`` takes."""
        limits = self.default_bins if isinstance(bins, str) and bins == "tensorflow" else bins
        self._write(summary.histogram(tag, values, limits, max_bins=max_bins), global_step, walltime)

    def add_histogram_raw(
        self, tag: str, min: float, max: float, num: float, sum: float, sum_squares: float, bucket_limits: Any,
        bucket_counts: Any, global_step: int | None = None, walltime: float | None = None,
    ) -> None:  # fmt: skip
        """A histogram that was counted elsewhere. ValueError unless there are as many limits as counts."""
        if len(bucket_limits) != len(bucket_counts):
            raise ValueError("len(bucket_limits) != len(bucket_counts), see the document.")
        made = summary.histogram_raw(tag, min, max, num, sum, sum_squares, bucket_limits, bucket_counts)
        self._write(made, global_step, walltime)

    def add_image(
        self, tag: str, img_tensor: Any, global_step: int | None = None, walltime: float | None = None,
        dataformats: str = "CHW",
    ) -> None:  # fmt: skip
        """A picture: values from 0 to 1, or bytes. ``dataformats`` names the dimensions: CHW, HWC, HW."""
        self._write(summary.image(tag, img_tensor, dataformats=dataformats), global_step, walltime)

    def add_images(
        self, tag: str, img_tensor: Any, global_step: int | None = None, walltime: float | None = None,
        dataformats: str = "NCHW",
    ) -> None:  # fmt: skip
        """Pictures, side by side."""
        self._write(summary.image(tag, img_tensor, dataformats=dataformats), global_step, walltime)

    def add_image_with_boxes(
        self, tag: str, img_tensor: Any, box_tensor: Any, global_step: int | None = None,
        walltime: float | None = None, rescale: float = 1, dataformats: str = "CHW", labels: Any = None,
    ) -> None:  # fmt: skip
        """A picture with boxes (left, top, right, bottom) in pixels. ValueError unless there is a label for each."""
        if isinstance(labels, str):
            labels = [labels]
        if labels is not None and len(labels) != box_tensor.shape[0]:
            raise ValueError("labels and boxes should have the same length")
        made = summary.image_boxes(
            tag, img_tensor, box_tensor, rescale=rescale, dataformats=dataformats, labels=labels
        )
        self._write(made, global_step, walltime)

    def add_figure(
        self, tag: str, figure: Any, global_step: int | None = None, close: bool = True, walltime: float | None = None
    ) -> None:
        """A figure of matplotlib, or a list of them, which ``close`` closes."""
        formats = "NCHW" if isinstance(figure, list) else "CHW"
        self.add_image(tag, figure_to_image(figure, close), global_step, walltime, dataformats=formats)

    def add_video(
        self, tag: str, vid_tensor: Any, global_step: int | None = None, fps: int = 4, walltime: float | None = None
    ) -> None:
        """Videos (N, T, C, H, W), values from 0 to 1 or bytes."""
        self._write(summary.video(tag, vid_tensor, fps), global_step, walltime)

    def add_audio(
        self, tag: str, snd_tensor: Any, global_step: int | None = None, sample_rate: int = 44100,
        walltime: float | None = None,
    ) -> None:  # fmt: skip
        """A sound (1, L), values from -1 to 1."""
        self._write(summary.audio(tag, snd_tensor, sample_rate=sample_rate), global_step, walltime)

    def add_text(
        self, tag: str, text_string: str, global_step: int | None = None, walltime: float | None = None
    ) -> None:
        """A text, which is read as Markdown."""
        self._write(summary.text(tag, text_string), global_step, walltime)

    def add_onnx_graph(self, prototxt: str) -> None:
        """Not part of Tabula: NotImplementedError. ``add_graph`` takes the model itself."""
        raise NotImplementedError("add_onnx_graph is not part of Tabula: add_graph takes the model itself")

    def add_graph(
        self, model: Any, input_to_model: Any = None, verbose: bool = False, use_strict_trace: bool = True
    ) -> None:
        """The operations that a model calls for these inputs, by module. ``verbose`` prints them."""
        from ._graph import graph

        self._get_file_writer().add_graph(graph(model, input_to_model, verbose, use_strict_trace))

    def add_embedding(
        self, mat: Any, metadata: Any = None, label_img: Any = None, global_step: int | None = None,
        tag: str = "default", metadata_header: Any = None,
    ) -> None:  # fmt: skip
        """Vectors (N, D) for the projector, with a text, or several, and a square picture (N, C, H, W) for each.

        AssertionError where the numbers do not agree.
        """
        from . import _embedding

        mat = make_np(mat)
        step = 0 if global_step is None else global_step
        folder = f"{str(step).zfill(5)}/{self._encode(tag)}"
        path = os.path.join(self._get_file_writer().get_logdir(), folder)
        if os.path.exists(path):
            print("warning: Embedding dir exists, did you set global_step for add_embedding()?")
        os.makedirs(path, exist_ok=True)
        if metadata is not None:
            if mat.shape[0] != len(metadata):
                raise AssertionError("#labels should equal with #data points")
            _embedding.write_metadata(metadata, path, metadata_header)
        if label_img is not None:
            if mat.shape[0] != label_img.shape[0]:
                raise AssertionError("#images should equal with #data points")
            _embedding.write_sprite(label_img, path)
        if mat.ndim != 2:
            raise AssertionError("mat should be 2D, where mat.size(0) is the number of data points")
        _embedding.write_vectors(mat, path)
        name = f"{tag}:{str(step).zfill(5)}"
        _embedding.add_config(self._get_file_writer().get_logdir(), folder, name, step, metadata, label_img)

    def add_pr_curve(
        self, tag: str, labels: Any, predictions: Any, global_step: int | None = None, num_thresholds: int = 127,
        weights: Any = None, walltime: float | None = None,
    ) -> None:  # fmt: skip
        """Precision and recall of predictions from 0 to 1 for labels 0 and 1."""
        made = summary.pr_curve(tag, make_np(labels), make_np(predictions), num_thresholds, weights)
        self._write(made, global_step, walltime)

    def add_pr_curve_raw(
        self, tag: str, true_positive_counts: Any, false_positive_counts: Any, true_negative_counts: Any,
        false_negative_counts: Any, precision: Any, recall: Any, global_step: int | None = None,
        num_thresholds: int = 127, weights: Any = None, walltime: float | None = None,
    ) -> None:  # fmt: skip
        """A curve that was counted elsewhere."""
        made = summary.pr_curve_raw(
            tag, true_positive_counts, false_positive_counts, true_negative_counts, false_negative_counts, precision,
            recall, num_thresholds, weights,
        )  # fmt: skip
        self._write(made, global_step, walltime)

    def add_custom_scalars_multilinechart(
        self, tags: list[str], category: str = "default", title: str = "untitled"
    ) -> None:
        """Show scalars in one chart."""
        self.add_custom_scalars({category: {title: ["Multiline", tags]}})

    def add_custom_scalars_marginchart(
        self, tags: list[str], category: str = "default", title: str = "untitled"
    ) -> None:
        """Show a scalar between two others. AssertionError unless there are three."""
        if len(tags) != 3:
            raise AssertionError(f"Expected 3 tags, got {len(tags)}.")
        self.add_custom_scalars({category: {title: ["Margin", tags]}})

    def add_custom_scalars(self, layout: dict[str, dict[str, list[Any]]]) -> None:
        """Say which scalars share a chart; see ``summary.custom_scalars``. For the whole folder, so called once."""
        self._write(summary.custom_scalars(layout), None, None)

    def add_mesh(
        self, tag: str, vertices: Any, colors: Any = None, faces: Any = None, config_dict: Any = None,
        global_step: int | None = None, walltime: float | None = None,
    ) -> None:  # fmt: skip
        """A mesh: vertices and colours (1, N, 3), faces (1, M, 3)."""
        self._write(summary.mesh(tag, vertices, colors, faces, config_dict), global_step, walltime)

    def add_hparams(
        self, hparam_dict: dict[str, Any], metric_dict: dict[str, Any], hparam_domain_discrete: Any = None,
        run_name: str | None = None, global_step: int | None = None,
    ) -> None:  # fmt: skip
        """The hyperparameters of a run and what it reached, in a folder ``run_name`` of its own."""
        if type(hparam_dict) is not dict or type(metric_dict) is not dict:
            raise TypeError("hparam_dict and metric_dict should be dictionary.")
        parts = summary.hparams(hparam_dict, metric_dict, hparam_domain_discrete)
        folder = os.path.join(self._get_file_writer().get_logdir(), run_name or str(time.time()))
        with SummaryWriter(log_dir=folder) as own:
            for part in parts:
                own._get_file_writer().add_summary(part, global_step)
            for name, value in metric_dict.items():
                own.add_scalar(name, value, global_step)

    def flush(self) -> None:
        """Write what waits."""
        for writer in (self.all_writers or {}).values():
            writer.flush()

    def close(self) -> None:
        """Write what waits, and close the files. What is added later opens new ones."""
        for writer in (self.all_writers or {}).values():
            writer.flush()
            writer.close()
        self.file_writer = self.all_writers = None

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        self.close()
