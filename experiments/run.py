"""The command line of the zoo: ``python experiments/run.py --help``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

HELP = """usage: run.py COMMAND [--config FILE] [options]

Multitask learning over many biomedical modalities at once.

commands
  fit        train, then test, and end with a table of every task (--config mtl.yaml needs no download)
  validate   evaluate a checkpoint on the validation split   (--ckpt_path FILE)
  test       evaluate a checkpoint on the test split         (--ckpt_path FILE)
  predict    write the predictions of a checkpoint as CSV    (--ckpt_path FILE)
  bench      time Lightning against a bare loop, and packed against zero-filled rows
  synergy    accuracy of every fusion on the simulated synergistic task, with both modalities and with each
  table1     the evidence: classical, unimodal, unimodal multitask, multimodal, multimodal multitask x tasks x seeds
  ood        hold out organs, subjects, families or any group: accuracy in and out of distribution, and detection
  fewshot    0, 5, 10, 20 shots of classes or tasks that were held out
  ablate     every subset of modalities: the best, Shapley values, synergy; also fusions, weightings, lambdas
  robustness noise, missing modalities, calibration, conformal sets, subgroups
  cross_modal  what a generated modality adds: records made of images, images made of metadata
  sweep      a W&B sweep file, run here by Optuna
  suite      table1, ood, fewshot, ablate and robustness within one budget, then the page
  report     one HTML page, and PNGs, of any runs
  table      a paper's tables, in its form, from finished runs, beside its figures   (--paper cross_modal)
  list       names of encoders, fusions, weightings, task kinds, sources and shipped configurations
  data       list | describe NAME | check --root DIR: the data sets, their cards, and an audit for copies and leaks

options of fit, validate, test and predict (run.py fit --help shows all)
  --config FILE                        a path, or the name of a file in experiments/configs; may be repeated
  --data.root DIR                      folder that holds the sources' folders
  --data.modalities '[xray,ct,mri]'    keep only these
  --data.tasks '[disease]'             keep only these
  --model.fusion LateFusion            another fusion, with its own options below --model.fusion.init_args
  --trainer.max_epochs 3               any option of lightning.Trainer
  --print_config                       print the whole configuration and stop

examples
  python experiments/run.py fit --config mtl.yaml
  python experiments/run.py fit --config mtl_real.yaml --data.root ../shared/data
  python experiments/run.py fit --config mtl.yaml --data.modalities '[ct,mri,genomics]' --model.fusion GatedFusion
  python experiments/run.py table1 --config mtl.yaml --budget 15m
  python experiments/run.py data check --root ../shared/data --html audit.html
  python experiments/run.py fit --config mtl.yaml --ckpt_path runs/mtl/version_0/checkpoints/last.ckpt
"""
LIGHTNING = ("fit", "validate", "test", "predict")
EVIDENCE = ("table1", "ood", "fewshot", "ablate", "robustness", "cross_modal", "sweep", "suite", "report", "table")
EXTRA = ("bench", "synergy", *EVIDENCE, "list", "data")


def find_configs(arguments: list[str]) -> list[str]:
    """Replace the name of a shipped configuration by its path, where no such file is in the working folder."""
    found = list(arguments)
    for k, argument in enumerate(arguments):
        head, equals, value = argument.partition("=")
        if argument in ("--config", "-c") and k + 1 < len(arguments):
            found[k + 1] = _config_path(arguments[k + 1])
        elif equals and head in ("--config", "-c"):
            found[k] = f"{head}={_config_path(value)}"
    return found


def _config_path(name: str) -> str:
    shipped = HERE / "configs" / name
    if Path(name).exists() or not name.endswith((".yaml", ".yml")):
        return name
    if shipped.exists():
        return str(shipped)
    import difflib

    known = sorted(p.name for p in (HERE / "configs").glob("*.yaml"))
    near = difflib.get_close_matches(Path(name).name, known, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    sys.exit(f"error: no configuration '{name}' here or in experiments/configs{hint} shipped: {', '.join(known)}")


def main() -> None:
    """Run one command."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help", "help"):
        print(HELP)
        sys.exit(0 if len(sys.argv) > 1 else 2)
    command = sys.argv[1]
    if command not in LIGHTNING + EXTRA:
        import difflib

        near = difflib.get_close_matches(command, LIGHTNING + EXTRA, n=1)
        sys.exit(
            f"error: unknown command '{command}'" + (f"; did you mean '{near[0]}'?" if near else "") + "\n\n" + HELP
        )
    os.environ.setdefault("HF_HUB_OFFLINE", "1" if os.environ.get("ZOO_ONLINE") is None else "0")
    try:
        sys.argv[1:] = find_configs(sys.argv[1:])
    except SystemExit as end:
        if command != "data":
            raise
        print(end.code, file=sys.stderr)
        sys.exit(2)  # 1 says that data leak
    if command in LIGHTNING:
        from experiments.cli import run_lightning as run
    elif command == "bench":
        from experiments.bench import main as run
    elif command == "synergy":
        from experiments.synergy import main as run
    elif command == "data":
        from experiments.data import main as run
    elif command in EVIDENCE:
        import importlib

        run = importlib.import_module(f"experiments.{command}").main
    else:
        from experiments.listing import main as run
    from zoo.errors import zoo_cause

    try:
        run()
    except Exception as error:
        known = zoo_cause(error)
        if known is None or os.environ.get("ZOO_DEBUG"):
            raise
        sys.exit(f"error: {known}")
    except KeyboardInterrupt:
        sys.exit("\nstopped; the same command goes on with what is not finished" if command in EVIDENCE else 130)


if __name__ == "__main__":
    main()
