"""Names of modalities and tasks, which are attributes of modules of torch too."""

from __future__ import annotations

import keyword

from zoo.errors import SpecError

FUSED = "fused"
"""Name of the stream that joins all modalities; no modality or task may have it."""


def check_name(what: str, name: str) -> None:
    """Refuse a name that cannot be an attribute of a module.

    Args:
        what: is named, for the message.
        name: to check.

    Raises:
        SpecError: the name cannot be used.
    """
    from torch import nn

    reserved = {*dir(nn.ModuleDict()), *dir(nn.ParameterDict())}  # of instances: "training" is one's attribute
    if not name.isidentifier() or keyword.iskeyword(name) or name in reserved or name == FUSED:
        raise SpecError(
            f"{what} name {name!r} cannot be used: names are identifiers of letters, digits and _, "
            "not Python keywords, not 'fused' and not attributes of torch.nn.ModuleDict (such as 'type')"
        )
