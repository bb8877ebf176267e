"use strict";
// Charts by Plotly in the colours of the page, drawn anew when those change.
const builders = { confusion, reliability, curves };
const charts = [...document.querySelectorAll(".chart")].map((place) => [place, JSON.parse(place.dataset.chart)]);

function draw() {
  const family = getComputedStyle(document.body).fontFamily;
  const probe = document.createElement("span");
  document.body.append(probe);
  const colour = (name) => {
    probe.className = `colour-${name}`;
    return getComputedStyle(probe).color;
  };
  const colours = Object.fromEntries(["ink", "quiet", "line", "card", "accent", "good", "warn"].map((name) => [name, colour(name)]));
  probe.remove();
  for (const [place, data] of charts) {
    const { traces, layout } = builders[place.dataset.kind](data, colours);
    const base = {
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: colours.ink, family, size: 12 },
      margin: { l: 56, r: 16, t: 12, b: 48 },
      showlegend: false,
    };
    window.Plotly.react(place, traces, { ...base, ...layout }, { displayModeBar: false, responsive: true });
  }
}

function axis(colours, title, more = {}) {
  return { title: { text: title }, gridcolor: colours.line, linecolor: colours.line, zeroline: false, ...more };
}

function confusion({ languages, counts }, colours) {
  const shares = counts.map((row) => {
    const sum = row.reduce((total, one) => total + one, 0);
    return row.map((one) => (sum ? one / sum : 0));
  });
  const few = languages.length <= 20;
  const trace = {
    type: "heatmap",
    x: languages,
    y: languages,
    z: shares,
    customdata: counts,
    text: few ? counts.map((row) => row.map((one) => one || "")) : undefined,
    texttemplate: few ? "%{text}" : undefined,
    zmin: 0,
    zmax: 1,
    xgap: few ? 1 : 0,
    ygap: few ? 1 : 0,
    colorscale: [[0, colours.card], [1, colours.accent]],
    colorbar: { tickformat: ".0%", thickness: 10, outlinewidth: 0 },
    hovertemplate: "%{y} heard as %{x}: %{customdata} (%{z:.0%})<extra></extra>",
  };
  const layout = {
    xaxis: axis(colours, "heard", { type: "category", showgrid: false }),
    yaxis: axis(colours, "spoken", { type: "category", showgrid: false, autorange: "reversed" }),
  };
  return { traces: [trace], layout };
}

function reliability(bins, colours) {
  const most = Math.max(1, ...bins.map(([, , clips]) => clips));
  const diagonal = { x: [0, 1], y: [0, 1], mode: "lines", line: { color: colours.quiet, dash: "dash", width: 1 }, hoverinfo: "skip" };
  const points = {
    x: bins.map(([confidence]) => confidence),
    y: bins.map(([, accuracy]) => accuracy),
    customdata: bins.map(([, , clips]) => clips),
    mode: "markers",
    marker: { color: colours.accent, size: bins.map(([, , clips]) => 8 + 18 * Math.sqrt(clips / most)) },
    hovertemplate: "%{x:.2f} sure, %{y:.2f} right, %{customdata} clips<extra></extra>",
  };
  const layout = {
    xaxis: axis(colours, "confidence", { range: [0, 1.04] }),
    yaxis: axis(colours, "share that is right", { range: [0, 1.04] }),
  };
  return { traces: [diagonal, points], layout };
}

function curves(values, colours) {
  const line = (name, label, colour, axes = {}) => ({
    x: values[name].map((_, epoch) => epoch + 1),
    y: values[name],
    name: label,
    mode: "lines+markers",
    line: { color: colour, width: 2 },
    marker: { size: 4 },
    ...axes,
  });
  const traces = [
    line("loss", "loss, training", colours.accent),
    line("dev_loss", "loss, dev", colours.warn),
    line("dev_macro_f1", "macro-F1, dev", colours.good, { xaxis: "x2", yaxis: "y2" }),
  ];
  const layout = {
    grid: { rows: 1, columns: 2, pattern: "independent", xgap: 0.12 },
    showlegend: true,
    legend: { orientation: "h", y: 1.15 },
    margin: { l: 56, r: 16, t: 30, b: 48 },
    xaxis: axis(colours, "epoch", { rangemode: "tozero" }),
    xaxis2: axis(colours, "epoch", { rangemode: "tozero" }),
    yaxis: axis(colours, "loss", { rangemode: "tozero" }),
    yaxis2: axis(colours, "macro-F1", { range: [0, 1.04] }),
  };
  return { traces, layout };
}

draw();
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
