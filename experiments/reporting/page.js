"use strict";
(function () {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const root = document.documentElement;
  const drawn = new Set();

  // -- theme ---------------------------------------------------------------------------------------------
  // Storage may be refused (file://, private windows): then the choice lasts as long as the page.
  function remembered() {
    try { return window.localStorage.getItem("zoo-theme"); } catch (error) { return null; }
  }
  function remember(name) {
    try { window.localStorage.setItem("zoo-theme", name); } catch (error) { /* it lasts as long as the page */ }
  }
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  let chosen = remembered();
  const theme = () => (chosen === "dark" || chosen === "light" ? chosen : system.matches ? "dark" : "light");
  const themeButton = document.getElementById("theme");
  function applyTheme(name) {
    root.dataset.theme = name;
    themeButton.textContent = name === "dark" ? "Light" : "Dark";
    themeButton.setAttribute("aria-label", "Switch to " + (name === "dark" ? "light" : "dark"));
    drawn.forEach(draw);
  }
  themeButton.addEventListener("click", () => {
    chosen = theme() === "dark" ? "light" : "dark";
    remember(chosen);
    applyTheme(chosen);
  });
  system.addEventListener("change", () => applyTheme(theme()));

  // -- figures -------------------------------------------------------------------------------------------
  const HUES = {
    light: { one: [[0, "#f4f8fb"], [0.5, "#7db4d8"], [1, "#005a94"]], two: [[0, "#b3470a"], [0.5, "#f7f7f7"], [1, "#005a94"]] },
    dark: { one: [[0, "#1b2530"], [1, "#2f83bf"]], two: [[0, "#b5602a"], [0.5, "#20262d"], [1, "#2f83bf"]] },
  };
  let webgl;
  function hasWebGL() {
    if (webgl === undefined) {
      try { webgl = Boolean(document.createElement("canvas").getContext("webgl")); } catch (error) { webgl = false; }
    }
    return webgl;
  }
  // The nearest point along -y from which all of a chain is seen (plotly's field of view is 45 degrees high).
  function camera(scene, box) {
    const { x, y, z } = scene.aspectratio;
    const wide = box.clientWidth / Math.max(box.clientHeight, 1);
    const away = Math.max((1.2 * x) / (0.83 * wide), (1.25 * z) / 0.83, 0.4) + y / 2;
    return { eye: { x: 0, y: -away, z: 0.12 * away } };
  }
  function themed(figure, box) {
    const css = getComputedStyle(root);
    const colour = (name) => css.getPropertyValue(name).trim();
    const layout = { ...figure.layout, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)" };
    const family = getComputedStyle(document.body).fontFamily;
    layout.font = { color: colour("--ink"), family, size: 12 };
    layout.hoverlabel = { bgcolor: colour("--surface"), bordercolor: colour("--line"), font: { color: colour("--ink"), family } };
    for (const axis of ["xaxis", "yaxis"]) {
      layout[axis] = { gridcolor: colour("--grid"), linecolor: colour("--line"), ...(layout[axis] || {}) };
    }
    layout.shapes = (layout.shapes || []).map((s) => ({ ...s, line: { ...s.line, color: colour("--ink") } }));
    layout.annotations = (layout.annotations || []).map((a) => ({ ...a, bgcolor: colour("--veil") }));
    const flat = layout.scene && !hasWebGL();
    if (flat) {
      delete layout.scene;
      for (const axis of ["xaxis", "yaxis"]) layout[axis] = { visible: false };
      layout.yaxis.scaleanchor = "x";
    } else if (layout.scene) {
      layout.scene = { ...layout.scene, camera: camera(layout.scene, box) };
      delete layout.xaxis;
      delete layout.yaxis;
    }
    const data = figure.data.map((trace) => {
      const copy = { ...trace };
      if (figure.hidden && figure.hidden.has(trace.legendgroup)) copy.visible = false;
      if (trace.type === "heatmap") copy.colorscale = HUES[root.dataset.theme][trace.meta === "two hues" ? "two" : "one"];
      if (trace.type === "heatmap" && root.dataset.theme === "dark") copy.textfont = { ...trace.textfont, color: "#ffffff" };
      for (const bars of ["error_x", "error_y"]) {
        if (trace[bars] && trace.type === "bar") copy[bars] = { ...trace[bars], color: colour("--ink") };
      }
      if (flat) {
        copy.type = "scatter";
        copy.line = { ...trace.line, width: 3 };
        delete copy.z;
      }
      return copy;
    });
    return { data, layout };
  }
  const OPTIONS = {
    responsive: true, displaylogo: false, displayModeBar: false, showTips: false,
  };
  function draw(box) {
    const figure = figures[box.dataset.figure];
    const { data, layout } = themed(figure, box);
    if (!drawn.has(box)) box.textContent = "";
    drawn.add(box);
    return Plotly.react(box, data, layout, OPTIONS);
  }
  const visible = (box) => box.offsetParent !== null;
  function drawVisible() {
    return Promise.all([...document.querySelectorAll(".plot")].filter((b) => visible(b) && !drawn.has(b)).map(draw));
  }
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting && !drawn.has(entry.target)) draw(entry.target);
    }
  }, { rootMargin: "600px" });
  document.querySelectorAll(".plot").forEach((box) => near.observe(box));
  window.addEventListener("beforeprint", () => { applyTheme("light"); drawVisible(); });
  window.addEventListener("afterprint", () => applyTheme(theme()));
  window.zooReport = { drawVisible };

  // -- tables --------------------------------------------------------------------------------------------
  function sortBy(head) {
    const row = head.parentElement;
    const column = [...row.children].indexOf(head);
    const byNumber = head.dataset.kind === "number";
    const first = byNumber ? "descending" : "ascending";
    const second = byNumber ? "ascending" : "descending";
    const order = head.getAttribute("aria-sort") === first ? second : first;
    for (const other of row.children) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const body = head.closest("table").tBodies[0];
    const value = (line) => {
      const v = line.cells[column] && line.cells[column].dataset.v;
      if (v === undefined) return null;
      return byNumber && !Number.isNaN(Number(v)) ? Number(v) : v;
    };
    const compare = (a, b) => {
      if (typeof a === "number" && typeof b === "number") return a - b;
      return String(a).localeCompare(String(b), undefined, { numeric: true });
    };
    const lines = [...body.rows].map((line, k) => [line, value(line), k]);
    lines.sort(([, a, i], [, b, k]) => {
      if (a === null || b === null) return a === b ? i - k : a === null ? 1 : -1; // empty cells stay below
      return sign * compare(a, b) || i - k;
    });
    body.append(...lines.map(([line]) => line));
  }
  document.querySelectorAll("th button").forEach((b) => b.addEventListener("click", () => sortBy(b.parentElement)));
  document.querySelectorAll(".filter input").forEach((box) => box.addEventListener("input", () => {
    const holder = box.closest(".table");
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = [...holder.querySelectorAll("tbody tr")];
    let count = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((w) => text.includes(w));
      count += row.hidden ? 0 : 1;
    }
    holder.querySelector(".shown").textContent = words.length ? count + " of " + rows.length : "";
  }));

  document.querySelectorAll(".legend button").forEach((button) => button.addEventListener("click", () => {
    const box = button.closest("figure").querySelector(".plot");
    const figure = figures[box.dataset.figure];
    figure.hidden = figure.hidden || new Set();
    const name = button.dataset.series;
    if (!figure.hidden.delete(name)) figure.hidden.add(name);
    button.setAttribute("aria-pressed", String(!figure.hidden.has(name)));
    draw(box);
  }));

  // -- choosers, copying, contents -----------------------------------------------------------------------
  document.querySelectorAll(".chooser").forEach((chooser) => {
    const select = chooser.querySelector("select");
    const panels = [...chooser.children].filter((c) => c.classList.contains("panel"));
    const show = () => {
      panels.forEach((panel, k) => { panel.hidden = k !== Number(select.value); });
      // The scene of a hidden panel gives its WebGL context back: browsers have few.
      panels.filter((panel) => panel.hidden).forEach((panel) => panel.querySelectorAll(".plot").forEach((box) => {
        if (drawn.has(box) && figures[box.dataset.figure].layout.scene) { Plotly.purge(box); drawn.delete(box); }
      }));
      panels[Number(select.value)].querySelectorAll(".plot").forEach((box) => { draw(box); Plotly.Plots.resize(box); });
    };
    select.value = "0"; // browsers restore choices on reload, but not what they showed
    select.addEventListener("change", show);
    chooser.querySelectorAll("[data-step]").forEach((button) => button.addEventListener("click", () => {
      select.value = String((Number(select.value) + Number(button.dataset.step) + panels.length) % panels.length);
      show();
    }));
  });
  document.querySelectorAll(".copy").forEach((button) => button.addEventListener("click", () => {
    const code = button.parentElement.querySelector("code");
    const done = () => { button.textContent = "Copied"; setTimeout(() => { button.textContent = "Copy"; }, 1500); };
    const select = () => { // no clipboard (file:// in some browsers): select the text, and say so
      const range = document.createRange();
      range.selectNodeContents(code);
      const selection = window.getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      button.textContent = "Selected";
    };
    if (navigator.clipboard) navigator.clipboard.writeText(code.textContent).then(done, select); else select();
  }));
  const menu = document.getElementById("menu");
  const contents = document.getElementById("contents");
  function open(whether) {
    contents.classList.toggle("open", whether);
    menu.setAttribute("aria-expanded", String(whether));
  }
  menu.addEventListener("click", () => open(!contents.classList.contains("open")));
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") open(false); });
  const links = new Map([...contents.querySelectorAll("a")].map((a) => [a.getAttribute("href").slice(1), a]));
  contents.addEventListener("click", (event) => { if (event.target.closest("a")) open(false); });
  const where = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      links.forEach((a) => a.classList.remove("here"));
      links.get(entry.target.id).classList.add("here");
    }
  }, { rootMargin: "-15% 0px -75% 0px" });
  links.forEach((a, id) => { const section = document.getElementById(id); if (section) where.observe(section); });

  applyTheme(theme());
})();
