"""A package outside the repository adds one of each kind of thing; the command line finds and runs them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from tests.experiments.conftest import Run, Several
from tests.experiments.user_package import REGISTERED, install_package, write_config, write_package


def shown(text: str, family: str) -> list[str]:
    """Names in the line of a family in the output of the command list, which may be wrapped."""
    found: list[str] = []
    within = False
    for line in text.splitlines():
        cells = [c.strip() for c in line.split("│")]
        if len(cells) == 4:
            within = cells[1] == family if cells[1] else within
            found += [n.strip() for n in cells[2].split(",")] if within else []
    return found


def report(folder: Path, name: str) -> dict[str, dict[str, float]]:
    (path,) = folder.glob(f"runs/{name}/version_*/report.json")
    made: dict[str, dict[str, float]] = json.loads(path.read_text())
    return made


def test_a_configuration_names_the_package(several: Several, run: Run, tmp_path: Path) -> None:
    """plugins: [my_spectra], with the package in the current folder."""
    write_package(tmp_path)
    write_config(tmp_path / "network.yaml", linear=False, plugins="plugins: [my_spectra]")
    write_config(tmp_path / "linear.yaml", linear=True, plugins="plugins: [my_spectra]")
    names = ("network", "linear")
    for code, said in several(*(["fit", "--config", f"{n}.yaml"] for n in names)):
        assert code == 0, said[-3000:]
    assert set(report(tmp_path, "network")) == {"lesions", "ill"}
    found = report(tmp_path, "linear")
    assert found["lesions"]["metric"] == "explained"
    assert found["lesions"]["low"] > 0.3  # the spectrum tells the number of lesions
    assert found["ill"]["low"] > found["ill"]["chance"]
    bundles = {n: f"runs/{n}/version_0/bundle" for n in names}
    given = [
        ["predict", "--model", b, "--table", f"{b}/examples/rows.csv", "--out", f"out_{n}"]
        for n, b in bundles.items()
    ]
    done = several(*given, *([*g, "--plugins", "my_spectra"] for g in given))
    assert [code for code, _ in done] == [1, 1, 0, 0], done
    assert all("needs the plugin 'my_spectra'" in said for _, said in done[:2])
    for name in names:
        rows = list(csv.DictReader((tmp_path / f"out_{name}" / "predictions_lesions.csv").open()))
        assert len(rows) == 2
        assert all(float(r["values"]) > 0 for r in rows)
    (saved,) = tmp_path.glob("runs/linear/version_0/config.yaml")
    assert "plugins:\n- my_spectra\n" in saved.read_text()
    asked = ("peaks", "--config", "linear.yaml", "--trainer.max_epochs=3", "--seeds", "0", "1", "--workers", "2")
    run(*asked)  # two processes, which import the package too
    (written,) = tmp_path.glob("runs/peaks/*/result.json")
    (table,) = json.loads(written.read_text())["tables"]
    assert {(r["seed"], r["task"]) for r in table["rows"]} == {(s, t) for s in (0, 1) for t in ("lesions", "ill")}


def test_the_command_list_shows_what_an_installed_package_has(several: Several, tmp_path: Path) -> None:
    """An entry point is found without being named."""
    site = tmp_path / "site"
    write_package(site)
    install_package(site)
    write_config(tmp_path / "linear.yaml", linear=True)
    fit = ["fit", "--config", "linear.yaml", "--trainer.max_epochs=1"]
    (listed, fitted) = several(["list"], fit, PYTHONPATH=str(site))
    assert (listed[0], fitted[0]) == (0, 0), fitted[1][-3000:]
    assert {f: n for f, n in REGISTERED.items() if n not in shown(listed[1], f)} == {}
    assert set(report(tmp_path, "linear")) == {"lesions", "ill"}
