"""An audit report as one page of HTML that needs nothing else: no network, no script, light and dark."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from datamodules.audit.examples import Example, Picture
from datamodules.audit.findings import Finding, Report, SourceReport
from datamodules.audit.report import counts_words, label_words, verdicts
from datamodules.splits import SPLITS

_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#667;--back:#fff;--line:#d8dce2;--bar:#3b78c4;--bad:#b3261e;
--badback:#fdecea;--good:#1b7a3d;--card:#f6f7f9}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--soft:#9aa3ad;--back:#14171b;--line:#343a42;--bar:#6aa3ea;
--bad:#ff8a80;--badback:#3a1d1b;--good:#7fd49a;--card:#1d2126}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--back);margin:0 auto;max-width:76rem;
padding:1.5rem}
h1{font-size:1.5rem}h2{font-size:1.2rem;border-top:1px solid var(--line);padding-top:1.2rem;margin-top:2rem}
h3{font-size:1rem;margin:1rem 0 .3rem}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.87rem;width:100%}
td,th{text-align:left;vertical-align:top;padding:.25rem .6rem;border-bottom:1px solid var(--line);
overflow-wrap:anywhere}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}td.k{white-space:nowrap}
.leak{color:var(--bad);font-weight:600}.ok{color:var(--good)}.soft{color:var(--soft)}
.bar{background:var(--bar);height:.7rem;border-radius:2px;min-width:1px}
.sheet{display:flex;flex-wrap:wrap;gap:.6rem}
figure{margin:0;width:7rem;font-size:.72rem;overflow-wrap:anywhere}figure img{max-width:100%;display:block}
.words{font:11px/1.3 ui-monospace,monospace;background:var(--card);padding:.3rem;max-height:6rem;overflow:hidden}
.pair{display:flex;gap:.4rem;background:var(--badback);border:1px solid var(--bad);padding:.4rem;border-radius:4px}
"""


def write_page(report: Report, path: Path) -> None:
    """Write the page."""
    names = {s.name for s in report.sources}
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>Audit of {len(names)} sources</title><style>{_STYLE}</style>",
        "<h1>Audit of the data</h1>",
        "<ul>" + "".join(f"<li>{_verdict(line)}</li>" for line in verdicts(report)) + "</ul>",
        _table(("source", "rows", "read", "unreadable", "published", *(f"own {s}" for s in SPLITS)),
               [_rows(s) for s in report.sources if not s.error], numbers=(1, 2, 3, 5, 6, 7)),
    ]  # fmt: skip
    if report.between:
        parts += ["<h2>Between sources</h2>", _findings(report.between)]
    parts += [_section(s) for s in report.sources]
    path.write_text("\n".join(parts), encoding="utf-8")


def _say(value: object) -> str:
    return html.escape(str(value))


def _verdict(line: str) -> str:
    bad = "not handled" in line or "could not" in line or "cannot be read" in line
    return f"<span class={'leak' if bad else 'ok' if 'no leak' in line else 'soft'}>{_say(line)}</span>"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """A table of cells that are HTML already."""
    kind = ["n" if k in numbers else "" for k in range(len(columns))]
    head = "".join(f"<th class='{k}'>{_say(c)}</th>" for c, k in zip(columns, kind, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td class='{k}'>{c}</td>" for c, k in zip(row, kind, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<div class=wide><table><tr>{head}</tr>{body}</table></div>"


def _rows(s: SourceReport) -> list[str]:
    published = " ".join(f"{k} {v}" for k, v in s.published.items()) or "no split"
    name = f"<a href='#{_say(s.name)}'>{_say(s.name)}</a>"
    return [name, *map(str, (s.rows, s.read, s.unreadable)), _say(published), *(str(s.own.get(k, 0)) for k in SPLITS)]


def _findings(findings: Sequence[Finding]) -> str:
    rows = []
    for f in findings:
        examples = "".join(f"<br><span class=soft>{_say(a)} &harr; {_say(b)}</span>" for a, b in f.pairs[:3])
        style = "leak" if f.open else "ok" if f.handled.startswith("yes") else ""
        level = f"<span class='{'leak' if f.level == 'leak' else 'soft'}'>{f.level}</span>"
        cells = [level, _say(f.kind), _say(f.what), _say(f.message) + examples]
        rows.append([*cells, f"<span class='{style}'>{_say(f.handled)}</span>"])
    return _table(("level", "kind", "in", "finding", "handled"), rows)


def _section(s: SourceReport) -> str:
    parts = [f"<h2 id='{_say(s.name)}'>{_say(s.name)}: {_say(s.title)}</h2>"]
    if s.error:
        return parts[0] + f"<p class=leak>{_say(s.error)}</p>"
    left_out = [f"{n} {reason}" for reason, n in {**s.skipped, **s.own_skipped}.items()]
    if left_out:
        parts.append(f"<p class=soft>Left out: {_say('; '.join(left_out))}</p>")
    parts.append(_findings(s.findings) if s.findings else "<p class=ok>Nothing was found.</p>")
    if s.unreadable:
        listed = "".join(f"<li>{_say(i)}: {_say(e)}</li>" for i, e in s.unreadable_examples)
        parts.append(f"<h3 class=leak>{s.unreadable} rows cannot be read</h3><ul>{listed}</ul>")
    if s.pairs:
        shown = "".join(f"<div class=pair title='{_say(w)}'>{_figure(a)}{_figure(b)}</div>" for w, a, b in s.pairs)
        parts.append(f"<h3>Flagged pairs</h3><div class=sheet>{shown}</div>")
    parts += [_labels(s, task) for task in s.labels]
    for column, counts in s.groups.items():
        parts.append(f"<p><b>{_say(column)}</b>: {len(counts)} values for tests on unseen groups: ")
        parts.append(_say(counts_words(counts, 24)) + "</p>")
    ordered = sorted(s.examples, key=lambda e: e.label)
    parts.append("<h3>Examples</h3><div class=sheet>" + "".join(map(_figure, ordered)) + "</div>")
    return "\n".join(parts)


def _labels(s: SourceReport, task: str) -> str:
    labels = s.labels[task]
    head = f"<h3>{_say(task)} ({_say(labels.kind)}, {labels.rows} labelled rows)</h3>"
    if labels.numbers or not labels.counts:
        return head + f"<p>{_say(label_words(labels))}</p>"
    ordered = sorted(labels.counts.items(), key=lambda item: -item[1]["all"] if labels.kind == "vqa" else 0)[:40]
    most = max(n["all"] for _, n in ordered) or 1
    rows = [
        [_say(c), str(n["all"]), f"<div class=bar style='width:{100 * n['all'] / most:.1f}%'></div>",
         *(str(n.get(k, 0)) for k in SPLITS)]
        for c, n in ordered
    ]  # fmt: skip
    more = len(labels.counts) - len(ordered)
    return (
        head
        + _table(("class", "rows", "", *SPLITS), rows, (1, 3, 4, 5))
        + (f"<p>and {more} more</p>" if more else "")
    )


def _figure(example: Example) -> str:
    shown = "".join(f"<img alt='{_say(n)}' title='{_say(n)}' src='{_data(p)}'>" for n, p in example.pictures.items())
    shown += "".join(f"<div class=words title='{_say(n)}'>{_say(w)}</div>" for n, w in example.words.items())
    caption = f"<b>{_say(example.label)}</b> <span class=soft>{_say(example.split)} {_say(example.id)}</span>"
    return f"<figure>{shown}<figcaption>{caption}</figcaption></figure>"


def _data(picture: Picture) -> str:
    from PIL import Image

    held = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(held, format="PNG")
    return "data:image/png;base64," + base64.b64encode(held.getvalue()).decode()
