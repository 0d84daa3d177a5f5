"""Files of weights that the user has: tensors only are read, no code is run."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor

from zoo.errors import DataError


def read_state(file: str | Path, of: str) -> dict[str, Tensor]:
    """Read the state of a network from a file that ``torch.save`` wrote.

    Args:
        file: to read.
        of: what the state is of, for errors.

    Raises:
        DataError: there is no such file, or it holds something else than names and tensors.
    """
    if not Path(file).is_file():
        raise DataError(
            f"there is no file of weights of {of}; nothing is downloaded, so name one that you have", file=file
        )
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError) as error:
        raise DataError(f"this is no file of tensors; save the state_dict() of {of}", file=file) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise DataError(f"this file holds more than names and tensors; save the state_dict() of {of}", file=file)
    return dict(state)
