"""The table of losses, one cell a (task, stream): filled each step, and gathered on the device until it is logged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

from zoo.contract import Batch, Output
from zoo.tasks.base import TaskKind
from zoo.training.losses import ClassLoss


def world_size() -> int:
    """Number of processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


class LossTable(nn.Module):
    """Compute mean losses per (task, stream), and keep running sums of them on the device.

    Args:
        kinds: task -> its TaskKind, in the order of the rows.
        streams: stream names, in the order of the columns.
    """

    sums: Tensor
    counts: Tensor
    total: Tensor

    def __init__(self, kinds: Mapping[str, TaskKind], streams: Sequence[str]) -> None:
        super().__init__()
        self.kinds = dict(kinds)
        self.tasks = tuple(kinds)
        self.streams = tuple(streams)
        shape = (len(self.tasks), len(self.streams))
        self.register_buffer("sums", torch.zeros(shape))
        self.register_buffer("counts", torch.zeros(shape))
        self.register_buffer("total", torch.zeros(2))

    def step(self, output: Output, batch: Batch, own: Mapping[str, ClassLoss] | None = None) -> tuple[Tensor, Tensor]:
        """Return the (T, S) mean losses of a step and the (T, S) mask of cells that have rows anywhere.

        Tasks in ``own`` take that loss in the place of the one of their kind.

        Under DDP, a cell is this rank's summed loss times the number of ranks over the rows of all ranks,
        so that DDP's average over ranks is the mean over the global batch.

        Args:
            output: of the model, with logits.
            batch: that it was made of.
            own: task -> loss in the place of that of its kind; None for none.
        """
        device = self.sums.device
        zero = torch.zeros((), device=device)
        cells: list[Tensor] = []
        counts: list[int] = []
        position = {t: batch.observed[t].cumsum(0) - 1 for t in self.tasks}
        for t in self.tasks:
            for s in self.streams:
                rows = output.rows.get((t, s))
                if rows is None or len(rows) == 0:
                    cells.append(zero)
                    counts.append(0)
                    continue
                loss = (own or {}).get(t, self.kinds[t].loss)
                losses, n = self._cell(t, output.logits[(t, s)], rows, batch, position[t], loss)
                cells.append(losses)
                counts.append(n)
        shape = self.sums.shape
        sums = torch.stack(cells).view(shape)
        count = torch.tensor(counts, dtype=torch.float32, device=device).view(shape)
        self.sums += sums.detach()
        self.counts += count
        world = world_size()
        if world > 1:
            dist.all_reduce(count)
        return sums * world / count.clamp_min(1.0), count > 0

    @staticmethod
    def _cell(
        task: str,
        logits: Tensor,
        rows: Tensor,
        batch: Batch,
        position: Tensor,
        loss: Callable[[Tensor, Tensor], Tensor],
    ) -> tuple[Tensor, int]:
        observed = batch.observed[task][rows]
        if not bool(observed.all()):
            logits, rows = logits[observed], rows[observed]
        target = batch.targets[task][position[rows]]
        if not target.is_floating_point():
            known = (target >= 0).flatten(1).any(1) if target.ndim > 1 else target >= 0  # any position of a row
            if not bool(known.all()):
                logits, target = logits[known], target[known]
        if len(target) == 0:
            return logits.sum() * 0.0, 0
        return loss(logits, target).sum(), len(target)

    def add_total(self, loss: Tensor) -> None:
        """Remember the weighted loss of a step."""
        self.total[0] += loss.detach()
        self.total[1] += 1

    @torch.no_grad()
    def drain(self) -> tuple[Tensor, Tensor, float]:
        """Return mean losses (T, S), their row counts, and the mean weighted loss since the last call; reset.

        The values are those of all ranks together; every rank must call this.
        """
        sums, counts, total = self.sums.clone(), self.counts.clone(), self.total.clone()
        if world_size() > 1:
            flat = torch.cat([sums.flatten(), counts.flatten(), total])
            dist.all_reduce(flat)
            n = sums.numel()
            sums, counts, total = flat[:n].view_as(sums), flat[n : 2 * n].view_as(counts), flat[2 * n :]
        self.sums.zero_()
        self.counts.zero_()
        self.total.zero_()
        return sums / counts.clamp_min(1.0), counts, float(total[0] / total[1].clamp_min(1.0))
