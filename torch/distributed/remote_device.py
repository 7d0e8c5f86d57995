"""A device of another process, written ``worker/device`` or ``rank:N/device``."""

from __future__ import annotations

import torch

__all__ = ["_remote_device"]


class _remote_device:  # noqa: N801
    """A worker's name or rank and its device: ``"trainer0/cpu"``, ``"rank:0/cpu"``, ``"cpu"``.

    Raises:
        ValueError: the text has another form.
    """

    def __init__(self, remote_device: str | torch.device) -> None:
        text = str(remote_device)
        self._worker_name: str | None = None
        self._rank: int | None = None
        place, slash, device = text.rpartition("/")
        if slash and not place or not device or "/" in place:
            raise ValueError(
                f"Could not parse remote_device: {text}. The valid format is '<workername>/<device>' or "
                "'rank:<rank>/<device>' or '<device>'"
            )
        if slash and place.startswith("rank:"):
            if not place[5:].isdigit():
                raise ValueError(f"Could not parse remote_device: {text}: a rank has to be a number")
            self._rank = int(place[5:])
        elif slash:
            self._worker_name = place
        try:
            self._device = torch.device(device)
        except RuntimeError:
            if slash:
                raise
            # a worker's name alone means its processor
            self._worker_name, self._device = text, torch.device("cpu")

    def worker_name(self) -> str | None:
        """The worker's name, if it is given."""
        return self._worker_name

    def rank(self) -> int | None:
        """The worker's rank, if it is given."""
        return self._rank

    def device(self) -> torch.device:
        """The device there."""
        return self._device

    def __repr__(self) -> str:
        if self._worker_name is not None:
            return f"{self._worker_name}/{self._device}"
        if self._rank is not None:
            return f"rank:{self._rank}/{self._device}"
        return str(self._device)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _remote_device) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))
