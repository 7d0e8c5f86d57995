"""From the bytes of a file to what they mean, by the file's extension."""

from __future__ import annotations

import io
import json
import os
import pickle

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "Decoder",
    "ImageHandler",
    "MatHandler",
    "audiohandler",
    "basichandlers",
    "extension_extract_fn",
    "handle_extension",
    "imagehandler",
    "mathandler",
    "videohandler",
]

# name: (library, element type, mode of PIL)
imagespecs: dict[str, tuple[str, str | None, str]] = {"pil": ("pil", None, "rgb"), "torch": ("torch", "float", "rgb")}
for _mode in ("l", "rgb", "rgba"):
    imagespecs["pil" + _mode] = ("pil", None, _mode)
    for _prefix, _library in (("", "numpy"), ("torch", "torch")):
        imagespecs[_prefix + _mode] = (_library, "float", _mode)
        imagespecs[_prefix + _mode + "8"] = (_library, "uint8", _mode)


def extension_extract_fn(pathname: str) -> str:
    """The extension of a file name, without the dot."""
    return os.path.splitext(pathname)[1].removeprefix(".")


def basichandlers(extension: str, data: Any) -> Any:
    """Text, whole numbers, JSON, pickles and saved tensors."""
    if extension in ("txt", "text", "transcript"):
        return data.decode("utf-8")
    if extension in ("cls", "cls2", "class", "count", "index", "inx", "id"):
        return int(data)
    if extension in ("json", "jsn"):
        return json.loads(data)
    if extension in ("pyd", "pickle"):
        return pickle.loads(data)
    if extension == "pt":
        return torch.load(io.BytesIO(data))
    return None


def handle_extension(extensions: str, f: Callable[[Any], Any]) -> Callable[[str, Any], Any]:
    """A handler that calls ``f`` for files with one of the extensions."""
    wanted = [extension.split(".") for extension in extensions.lower().split()]

    def g(key: str, data: Any) -> Any:
        parts = key.lower().split(".")
        for target in wanted:
            if len(target) <= len(parts) and parts[-len(target) :] == target:
                return f(data)
        return None

    return g


class ImageHandler:
    """Images as NumPy arrays, tensors (channels first) or PIL images."""

    def __init__(self, imagespec: str) -> None:
        if imagespec.lower() not in imagespecs:
            raise AssertionError(f"unknown image specification: {imagespec.lower()}")
        self.imagespec = imagespec.lower()

    def __call__(self, extension: str, data: bytes) -> Any:
        if extension.lower() not in ("jpg", "jpeg", "png", "ppm", "pgm", "pbm", "pnm"):
            return None
        try:
            import numpy
            from PIL import Image
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f"Package `{error.name}` is required to be installed for default image decoder."
                f"Please use `pip install {'Pillow' if error.name == 'PIL' else error.name}` to install the package"
            ) from None
        library, element, mode = imagespecs[self.imagespec]
        with io.BytesIO(data) as stream:
            image = Image.open(stream)
            image.load()
            image = image.convert(mode.upper())
        if library == "pil":
            return image
        array = numpy.asarray(image)
        if array.ndim == 2:
            array = array[:, :, None]
        if element == "float":
            array = array.astype("f") / 255.0
        if library == "numpy":
            return array
        return torch.tensor(array).permute(2, 0, 1).contiguous()


def imagehandler(imagespec: str) -> ImageHandler:
    """A handler of images; ``imagespec`` is ``"l"``, ``"rgb"`` or ``"rgba"``, with ``"torch"`` or ``"pil"`` before it
    for tensors or PIL images and ``"8"`` behind it for bytes."""
    return ImageHandler(imagespec)


def videohandler(extension: str, data: Any) -> Any:
    """Videos, by torchvision."""
    if extension not in ("mp4", "ogv", "mjpeg", "avi", "mov", "h264", "mpg", "webm", "wmv"):
        return None
    return _by_file("torchvision.io", "read_video", extension, data)


def audiohandler(extension: str, data: Any) -> Any:
    """Sound, by torchaudio."""
    if extension not in ("flac", "mp3", "sox", "wav", "m4a", "ogg", "wma"):
        return None
    return _by_file("torchaudio", "load", extension, data)


def _by_file(module: str, function: str, extension: str, data: Any) -> Any:
    import importlib
    import tempfile

    try:
        read = getattr(importlib.import_module(module), function)
    except ImportError as error:
        name = module.partition(".")[0]
        raise ModuleNotFoundError(
            f"Package `{name}` is required to be installed for default {extension} decoder"
        ) from error
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, f"file.{extension}")
        with open(path, "wb") as file:
            file.write(data)
        return read(path)


class MatHandler:
    """MATLAB's files, by SciPy."""

    def __init__(self, **loadmat_kwargs: Any) -> None:
        try:
            import scipy.io as sio
        except ImportError as error:
            raise ModuleNotFoundError(
                "Package `scipy` is required to be installed for mat file.Please use `pip install scipy` to install "
                "the package"
            ) from error
        self.sio = sio
        self.loadmat_kwargs = loadmat_kwargs

    def __call__(self, extension: str, data: bytes) -> Any:
        if extension != "mat":
            return None
        with io.BytesIO(data) as stream:
            return self.sio.loadmat(stream, **self.loadmat_kwargs)


def mathandler(**loadmat_kwargs: Any) -> MatHandler:
    """A handler of MATLAB's files."""
    return MatHandler(**loadmat_kwargs)


class Decoder:
    """Asks handlers, the first that does not return ``None`` decides; what none knows stays as it is."""

    def __init__(
        self, *handler: Callable[[str, Any], Any], key_fn: Callable[[str], str] = extension_extract_fn
    ) -> None:
        self.handlers = list(handler)
        self.key_fn = key_fn

    def add_handler(self, *handler: Callable[[str, Any], Any]) -> None:
        if handler:
            self.handlers = list(handler) + self.handlers

    @staticmethod
    def _is_stream_handle(data: Any) -> bool:
        from .common import StreamWrapper

        return isinstance(data, (io.BufferedIOBase, io.RawIOBase, StreamWrapper))

    def decode1(self, key: str, data: Any) -> Any:
        if not data:
            return data
        for handler in self.handlers:
            result = handler(key, data)
            if result is not None:
                return result
        return data

    def decode(self, data: Any) -> dict[str, Any]:
        result = {}
        # Either a dictionary or one pair of a name and its bytes.
        for key, value in data.items() if isinstance(data, dict) else [data]:
            if key[0] == "_":
                if isinstance(value, bytes):
                    value = value.decode("utf-8")
                result[key] = value
                continue
            if self._is_stream_handle(value):
                stream, value = value, value.read()
                stream.close()
            result[key] = self.decode1(self.key_fn(key), value)
        return result

    def __call__(self, data: Any) -> dict[str, Any]:
        return self.decode(data)
