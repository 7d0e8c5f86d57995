"""The short-time Fourier transform and its inverse."""

from __future__ import annotations

import math

import torch

from ._common import may_look

TYPE_CHECKING = False
if TYPE_CHECKING:
    from torch import Tensor


def _window(window: Tensor | None, win_length: int, n_fft: int, like: Tensor) -> Tensor:
    """The window, centred in a frame of ``n_fft`` samples."""
    real = like.real.dtype if like.is_complex() else like.dtype
    if window is None:
        window = torch.ones(win_length, dtype=real, device=like.device)
    if win_length == n_fft:
        return window
    left = (n_fft - win_length) // 2
    frame = window.new_zeros(n_fft)
    frame.narrow(0, left, win_length).copy_(window)
    return frame


def stft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Tensor:
    """Spectra of overlapping, windowed frames of a signal: ``(..., frequency, frame)``.

    >>> torch.stft(torch.ones(16), 8, return_complex=True, window=torch.ones(8)).shape
    torch.Size([5, 9])
    """
    hop = n_fft // 4 if hop_length is None else hop_length
    length = n_fft if win_length is None else win_length
    if window is None:
        import warnings

        warnings.warn(
            "A window was not provided. A rectangular window will be applied,which is known to cause spectral leakage. "
            "Other windows such as torch.hann_window or torch.hamming_window are recommended to reduce spectral "
            "leakage."
            "To suppress this warning and use a rectangular window, explicitly set "
            "`window=torch.ones(n_fft, device=<device>)`.",
            stacklevel=2,
        )
    if return_complex is None:
        if not (input.is_complex() or (window is not None and window.is_complex())):
            raise RuntimeError(
                "stft requires the return_complex parameter be given for real inputs, and will further require that "
                "return_complex=True in a future PyTorch release."
            )
        return_complex = True
    if not (input.is_floating_point() or input.is_complex()):
        raise RuntimeError(f"stft({_text(input)}): expected a tensor of floating point or complex values")
    if input.dim() not in (1, 2):
        raise RuntimeError(f"stft({_text(input)}): expected a 1D or 2D tensor")
    x = input.unsqueeze(0) if input.dim() == 1 else input
    if center:
        if align_to_window is not None:
            raise RuntimeError("stft: align_to_window should only be set when center = false")
        x = torch.nn.functional.pad(x.unsqueeze(1), (n_fft // 2, n_fft // 2), pad_mode).squeeze(1)
    if not 0 < n_fft <= x.shape[1]:
        raise RuntimeError(f"stft({_text(input)}): expected 0 < n_fft < {x.shape[1]}, but got n_fft={n_fft}")
    if hop <= 0:
        raise RuntimeError(f"stft({_text(input)}): expected hop_length > 0, but got hop_length={hop}")
    if not 0 < length <= n_fft:
        raise RuntimeError(f"stft({_text(input)}): expected 0 < win_length <= n_fft, but got win_length={length}")
    if window is not None and (window.dim() != 1 or window.shape[0] != length):
        raise RuntimeError(
            f"stft({_text(input)}): expected a 1D window tensor of size equal to win_length={length}, but got window "
            f"with size {list(window.shape)}"
        )
    frames = x.unfold(1, n_fft, hop)
    if window is not None or length != n_fft:
        frames = frames * _window(window, length, n_fft, x)
    complex_frames = frames.is_complex()
    if onesided is None:
        onesided = not complex_frames
    norm = "ortho" if normalized else None
    if complex_frames:
        if onesided:
            raise RuntimeError("Cannot have onesided output if window or input is complex")
        result = torch.fft.fft(frames, norm=norm)
    else:
        result = torch.fft.rfft(frames, norm=norm) if onesided else torch.fft.fft(frames, norm=norm)
    result = result.transpose(1, 2)
    if input.dim() == 1:
        result = result.squeeze(0)
    return result if return_complex else torch.view_as_real(result)


def _text(t: Tensor) -> str:
    return f"{t.type()}{list(t.shape)}"


def istft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> Tensor:
    """The signal whose short-time Fourier transform is closest to ``input``: overlapping frames are added, weighted by
    the window, and divided by the sum of its squares.

    >>> x = torch.ones(16)
    >>> w = torch.hann_window(8)
    >>> torch.allclose(torch.istft(torch.stft(x, 8, window=w, return_complex=True), 8, window=w), x)
    True
    """
    hop = n_fft // 4 if hop_length is None else hop_length
    width = n_fft if win_length is None else win_length
    if not input.is_complex():
        raise RuntimeError(
            "istft requires a complex-valued input tensor matching the output from stft with return_complex=True."
        )
    if input.numel() == 0:
        raise RuntimeError("istft: input tensor cannot be empty")
    if input.dim() not in (2, 3):
        raise RuntimeError(f"istft: expected a tensor with 2 or 3 dimensions, but got {input.dim()}")
    x = input.unsqueeze(0) if input.dim() == 2 else input
    bins, count = x.shape[1], x.shape[2]
    if onesided is None:
        onesided = bins != n_fft
    expected = n_fft // 2 + 1 if onesided else n_fft
    if bins != expected:
        raise RuntimeError(f"istft: expected the frequency dimension (3rd to the last) of the input tensor to match "
                           f"{'n_fft / 2 + 1' if onesided else 'n_fft'}, but got {bins}")  # fmt: skip
    if not 0 < hop <= width:
        raise RuntimeError("istft: expected 0 < hop_length <= win_length")
    if not 0 < width <= n_fft:
        raise RuntimeError("istft: expected 0 < win_length <= n_fft")
    if window is not None and (window.dim() != 1 or window.shape[0] != width):
        raise RuntimeError(f"istft: invalid window size: expected a 1D window tensor of size {width}")
    if return_complex and onesided:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    frame_window = _window(window, width, n_fft, x)
    norm = "ortho" if normalized else None
    x = x.transpose(1, 2)
    if return_complex:
        frames = torch.fft.ifft(x, norm=norm)
    else:
        if not onesided:
            x = x.narrow(2, 0, n_fft // 2 + 1)
        frames = torch.fft.irfft(x, n_fft, norm=norm)
    total = n_fft + hop * (count - 1)
    signal = _overlap_add(frames * frame_window, total, hop)
    envelope = _overlap_add((frame_window * frame_window).expand(1, count, n_fft), total, hop)
    start = n_fft // 2 if center else 0
    end = start + length if length is not None else total - n_fft // 2 if center else total
    stop = min(end, total)
    signal, envelope = signal[:, start:stop], envelope[:, start:stop]
    if stop > start and may_look(envelope) and not bool(envelope.abs().min().detach() > 1e-11):
        raise RuntimeError(f"window overlap add min: {float(envelope.detach().abs().min())} must be nonzero")
    signal = signal / envelope
    if end > total:
        import warnings

        warnings.warn(
            "The length of signal is shorter than the length parameter. Result is being padded with zeros in the tail.",
            stacklevel=2,
        )
        signal = torch.nn.functional.pad(signal, (0, end - total))
    return signal.squeeze(0) if input.dim() == 2 else signal


def _overlap_add(frames: Tensor, total: int, hop: int) -> Tensor:
    """Add frames (batch, frame, sample), each ``hop`` after the one before."""
    batch, count, width = frames.shape
    # Pieces of hop samples line up: piece j of frame i falls on block i + j of the result.
    pieces = math.ceil(width / hop)
    padding = pieces * hop - width
    if padding:
        frames = torch.cat([frames, frames.new_zeros(batch, count, padding)], 2)
    result = frames.new_zeros(batch, count + pieces - 1, hop)
    blocks = frames.reshape(batch, count, pieces, hop)
    for j in range(pieces):
        before = frames.new_zeros(batch, j, hop)
        after = frames.new_zeros(batch, pieces - 1 - j, hop)
        result = result + torch.cat([before, blocks[:, :, j], after], 1)
    return result.reshape(batch, -1)[:, :total]
