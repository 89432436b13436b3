// Draws the figures from the JSON API with Plotly, in the page's colours, and again whenever it is renewed.
"use strict";
(() => {
  const campaign = document.getElementById("head").dataset.campaign;
  const places = [...document.querySelectorAll("[data-chart]")];
  if (!places.length) return;

  const colour = (role) => getComputedStyle(document.documentElement).getPropertyValue(`--${role}`).trim();
  const faded = (role, alpha) => {
    const [r, g, b] = colour(role).match(/[0-9a-f]{2}/gi).map((part) => parseInt(part, 16));
    return `rgba(${r}, ${g}, ${b}, ${alpha})`;
  };
  const sub = (formula) => formula.replace(/([A-Za-z)\]])(\d+(?:\.\d+)?)/g, "$1<sub>$2</sub>");
  const number = (value) => value === null ? "–" : (Math.abs(value) >= 1e-3 && Math.abs(value) < 1e6 || value === 0
    ? Number(value.toPrecision(3)).toString() : value.toExponential(2));
  const unit = (data) => data.unit ? ` ${data.unit}` : "";
  const axisTitle = (data) => data.unit ? `${data.label} (${data.unit})` : data.label;
  const link = (id) => `/campaigns/${campaign}/candidates/${encodeURIComponent(id)}`;

  const axis = (title, more = {}) => ({
    title: { text: title, font: { size: 12, color: colour("ink") }, standoff: 8 },
    gridcolor: faded("line", 0.7), linecolor: colour("line"), zeroline: false, ticks: "outside", ticklen: 4,
    tickcolor: colour("line"), tickfont: { size: 11.5, color: colour("muted") }, automargin: true, ...more,
  });
  const spread = (values) => {
    const positive = values.filter((value) => value > 0);
    return Math.max(...positive) / Math.min(...positive);
  };
  const property = (data, title, values) => axis(title, data.scale === "log10"
    ? { type: "log", dtick: spread(values) > 100 ? 1 : "D2", tickformat: "~g" } : {});
  const layout = (more) => ({
    font: { family: getComputedStyle(document.body).fontFamily, color: colour("ink"), size: 12 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 56, r: 14, t: 34, b: 46 },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 12 }, itemsizing: "constant" },
    hoverlabel: { bgcolor: colour("surface"), bordercolor: colour("line"), font: { color: colour("ink"), size: 12.5 }, align: "left" },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("line"), activecolor: colour("muted") },
    hovermode: "closest", uirevision: "kept", ...more,
  });
  const marker = (role, size = 8) => ({ color: colour(role), size, line: { color: colour("surface"), width: 1 } });
  const crowded = (n) => Math.min(8.5, Math.max(4, 220 / Math.sqrt(n + 1) / 3));

  const search = (data) => {
    const x = data.points.map((_, i) => i + 1), traces = [];
    for (const [i, tail] of data.tails.entries()) {
      const shown = { showlegend: i === 0, hoverinfo: "skip", mode: "lines" };
      traces.push(
        { ...shown, x, y: tail.expected_high, line: { width: 0 }, showlegend: false },
        { ...shown, x, y: tail.expected_low, line: { width: 0 }, fill: "tonexty", fillcolor: faded("band", 0.2), name: "random order: 90 %" },
        { ...shown, x, y: tail.expected, line: { color: colour("band"), width: 1.6, dash: "6px,4px" }, name: "random order: expected" },
        { ...shown, x, y: tail.best, line: { color: colour("ink"), width: 2, shape: "hv" }, name: "best so far" },
      );
    }
    const named = new Set();
    for (const tail of data.tails) {
      let last = -Infinity;
      for (let i = tail.best.length - 1; i >= 0; i--) {
        const record = i === 0 ? data.tails.length === 1 : tail.best[i] !== tail.best[i - 1];
        if (record && (last === -Infinity || last - i >= tail.best.length / 16)) { named.add(`${tail.end}${i}`); last = i; }
      }
    }
    for (const initial of [true, false]) {
      const chosen = data.points.map((point, i) => ({ ...point, i })).filter((point) => (point.picked_by === "initial") === initial);
      if (!chosen.length) continue;
      const pickers = [...new Set(chosen.map((point) => point.picked_by))].join(", ");
      traces.push({
        mode: "markers", x: chosen.map((p) => p.i + 1), y: chosen.map((p) => p.value), customdata: chosen.map((p) => p.candidate),
        marker: marker(initial ? "initial" : "model", crowded(data.points.length)), name: initial ? "initial pick" : `picked by ${pickers}`,
        text: chosen.map((p) => `<b>${sub(p.formula)}</b>  ${number(p.value)}${unit(data)}` +
          (p.predicted === null ? "" : `<br>expected ${number(p.predicted)} (${number(p.predicted_low)} – ${number(p.predicted_high)})`)),
        hovertemplate: "%{text}<extra></extra>",
      });
    }
    const annotations = [...named].map((key) => {
      const high = key.startsWith("highest"), i = Number(key.replace(/\D/g, "")), point = data.points[i];
      return { x: i + 1, y: data.scale === "log10" ? Math.log10(point.value) : point.value, text: sub(point.formula), showarrow: false, yshift: high ? 13 : -13, font: { size: 12, color: colour("ink") } };
    });
    return { traces, layout: layout({ annotations, xaxis: axis("results, in the order they were picked", { range: [0.5, Math.max(2, x.length) + 0.5], tickformat: "d", ...(x.length < 12 ? { dtick: 1 } : {}) }), yaxis: property(data, axisTitle(data), [...data.points.map((p) => p.value), ...data.tails.flatMap((t) => [...t.expected_low, ...t.expected_high])]) }) };
  };

  const parity = (data) => {
    const rows = data.rows, all = rows.flatMap((r) => [r.value, r.predicted_low, r.predicted_high]);
    const log = data.scale === "log10", pad = log ? 1.25 : 0;
    let low = Math.min(...all), high = Math.max(...all);
    [low, high] = log ? [low / pad, high * pad] : [low - 0.05 * (high - low || 1), high + 0.05 * (high - low || 1)];
    const traces = [{ mode: "lines", x: [low, high], y: [low, high], line: { color: colour("muted"), width: 1 }, hoverinfo: "skip", showlegend: false }];
    for (const inside of [true, false]) {
      const chosen = rows.filter((r) => (r.predicted_low <= r.value && r.value <= r.predicted_high) === inside);
      if (!chosen.length) continue;
      const role = inside ? "model" : "miss";
      traces.push({
        mode: "markers", x: chosen.map((r) => r.value), y: chosen.map((r) => r.predicted), customdata: chosen.map((r) => r.candidate),
        marker: marker(role, crowded(rows.length)), name: inside ? "inside the 90 % interval" : "outside it",
        error_y: { type: "data", symmetric: false, array: chosen.map((r) => r.predicted_high - r.predicted), arrayminus: chosen.map((r) => r.predicted - r.predicted_low), color: faded(role, 0.5), thickness: 1.4, width: 0 },
        text: chosen.map((r) => `<b>${sub(r.formula)}</b>  ${number(r.value)}${unit(data)}<br>expected ${number(r.predicted)} (${number(r.predicted_low)} – ${number(r.predicted_high)})`),
        hovertemplate: "%{text}<extra></extra>",
      });
    }
    const range = log ? [Math.log10(low), Math.log10(high)] : [low, high], short = data.unit || data.label;
    return { traces, layout: layout({ xaxis: { ...property(data, `computed (${short})`, all), range }, yaxis: { ...property(data, `expected before (${short})`, all), range } }) };
  };

  const calibration = ({ calibration: data }) => {
    const percent = (values) => values.map((value) => 100 * value), x = percent(data.levels);
    return { traces: [
      { x, y: percent(data.chance_high), mode: "lines", line: { width: 0 }, showlegend: false, hoverinfo: "skip" },
      { x, y: percent(data.chance_low), mode: "lines", line: { width: 0 }, fill: "tonexty", fillcolor: faded("band", 0.2), name: "calibrated, 90 % of cases", hoverinfo: "skip" },
      { x: [0, 100], y: [0, 100], mode: "lines", line: { color: colour("muted"), width: 1 }, showlegend: false, hoverinfo: "skip" },
      { x, y: percent(data.observed), mode: "lines+markers", line: { color: colour("model"), width: 2 }, marker: marker("model"), name: `this campaign, ${data.n} predictions`, hovertemplate: "%{x:.0f} % interval: %{y:.0f} % inside<extra></extra>" },
    ], layout: layout({ xaxis: axis("nominal: probability of the interval (%)", { range: [0, 100] }), yaxis: axis("observed: values inside it (%)", { range: [0, 102] }) }) };
  };

  const domain = (data) => {
    const traces = [], pairs = [["inside", "model"], ["outside", "miss"]];
    for (const [column, level] of [[1, 50], [2, 90]]) {
      for (const [where, role] of pairs) {
        const rows = data.domain.filter((row) => row.where === where);
        traces.push({
          x: rows.map((r) => r.n_observations), y: rows.map((r) => r[`coverage_${level}`] === null ? null : 100 * r[`coverage_${level}`]), xaxis: `x${column}`, yaxis: `y${column}`,
          mode: "lines+markers", line: { color: colour(role), width: 2 }, marker: marker(role, 6.5), name: `${where} the domain`, legendgroup: where, showlegend: column === 1,
          text: rows.map((r) => `${r.rows} rows ${where}`), hovertemplate: "%{y:.0f} % of %{text}<extra></extra>",
        });
      }
    }
    const wanted = (level, ref) => ({ type: "line", xref: `${ref} domain`.replace("x1", "x"), yref: ref.replace("x1", "y").replace("x2", "y2"), x0: 0, x1: 1, y0: level, y1: level, line: { color: colour("muted"), width: 1.2, dash: "6px,4px" } });
    return { traces, layout: layout({ grid: { rows: 1, columns: 2, pattern: "independent", xgap: 0.14 }, shapes: [wanted(50, "x1"), wanted(90, "x2")],
      xaxis: axis("observations trained on"), yaxis: axis("in the 50 % interval (%)", { range: [-3, 104] }), xaxis2: axis("observations trained on"), yaxis2: axis("in the 90 % interval (%)", { range: [-3, 104] }) }) };
  };

  const models = (data) => {
    const judged = data.filter((card) => card.metrics.mae != null), x = judged.map((card) => card.n_observations), traces = [];
    const draw = (metric, role, column, name, factor = 1) => traces.push({
      x, y: judged.map((card) => card.metrics[metric] == null ? null : factor * card.metrics[metric]), xaxis: `x${column}`, yaxis: `y${column}`,
      mode: "lines+markers", line: { color: colour(role), width: 2 }, marker: marker(role, 6.5), name, showlegend: column === 3, hovertemplate: `${name} %{y:.3g}<extra></extra>`,
    });
    draw("mae", "model", 1, "MAE");
    draw("spearman", "model", 2, "Spearman");
    draw("coverage_50", "second", 3, "50 % interval", 100);
    draw("coverage_90", "model", 3, "90 % interval", 100);
    const wanted = (level, role) => ({ type: "line", xref: "x3 domain", yref: "y3", x0: 0, x1: 1, y0: level, y1: level, line: { color: colour(role), width: 1.2, dash: "6px,4px" } });
    return { traces, layout: layout({ grid: { rows: 1, columns: 3, pattern: "independent", xgap: 0.2 }, shapes: [wanted(50, "second"), wanted(90, "model")], legend: { orientation: "h", x: 1, xanchor: "right", y: 1.02, yanchor: "bottom" },
      xaxis: axis("observations trained on"), yaxis: axis("mean absolute error", { rangemode: "tozero" }), xaxis2: axis("observations trained on"), yaxis2: axis("Spearman rank correlation", { range: [Math.min(-0.1, ...judged.map((c) => c.metrics.spearman ?? 0)) - 0.05, 1.05] }), xaxis3: axis("observations trained on"), yaxis3: axis("held-out values inside (%)", { range: [0, 104] }) }) };
  };

  const STATES = [["rejected", "band", 0.18, "rejected"], ["ready", "band", 0.55, "not computed"], ["failed", "miss", 0.8, "failed"], ["active", "initial", 1, "running"]];
  const map = (data) => {
    const traces = [], of = (state) => data.points.filter((point) => point.state === state);
    const trace = (points, name, marks, mode = "markers") => ({ type: "scatter", mode, x: points.map((p) => p.x), y: points.map((p) => p.y), customdata: points.map((p) => p.candidate), name, marker: marks, text: points.map((p) => `<b>${sub(p.formula)}</b>${p.value === null ? "" : `  ${number(p.value)}${unit(data)}`}<br>${name}`), hovertemplate: "%{text}<extra></extra>" });
    const small = data.points.length > 800 ? 4 : 6.5;
    for (const [state, role, alpha, name] of STATES) {
      const points = of(state);
      if (points.length) traces.push(trace(points, name, { color: faded(role, alpha), size: state === "active" ? 10 : small, symbol: state === "failed" ? "x-thin-open" : "circle", line: { width: state === "failed" ? 1.6 : 0 } }));
    }
    const computed = of("computed"), log = data.scale === "log10";
    if (computed.length) {
      const values = computed.map((p) => log ? Math.log10(p.value) : p.value);
      const low = Math.min(...values), high = Math.max(...values), ticks = [0, 0.25, 0.5, 0.75, 1].map((t) => low + t * (high - low));
      traces.push(trace(computed, "computed", { color: values, size: computed.length > 300 ? 7 : 11, line: { color: colour("surface"), width: 1 }, colorscale: "Viridis", cmin: low, cmax: high === low ? low + 1 : high,
        colorbar: { thickness: 10, len: 0.9, outlinewidth: 0, title: { text: axisTitle(data), side: "right", font: { size: 11.5, color: colour("muted") } }, tickvals: ticks, ticktext: ticks.map((t) => number(log ? 10 ** t : t)), tickfont: { size: 11, color: colour("muted") } } }));
    }
    const share = (i) => `principal axis ${i + 1} (${Math.round(100 * data.explained[i])} % of the variance)`;
    return { traces, layout: layout({ xaxis: axis(share(0)), yaxis: axis(share(1)) }) };
  };

  const STANDINGS = [["infeasible", "misses a constraint", "miss", 0.6, 7], ["feasible", "dominated", "band", 0.85, 8], ["front", "on the front", "model", 1, 11]];
  const units = (one) => one.unit ? ` (${one.unit})` : "";
  const ARROWS = { max: " ↑", min: " ↓" };
  const told = (data, one) => `<b>${sub(one.formula)}</b>  ${one.title}` + data.axes.map((a) => `<br>${a.label} ${number(one.values[a.property] ?? null)} ${a.unit}`).join("") +
    (one.violated.length ? `<br>misses ${one.violated.join("; ").replaceAll("_", " ")}` : "");

  const front = (data) => {
    const sought = data.axes.filter((a) => a.goal), limited = data.axes.filter((a) => !a.goal);
    const shown = (sought.length > 1 ? sought : [...sought, ...limited]).slice(0, 5), pairs = [];
    shown.forEach((x, i) => shown.slice(i + 1).forEach((y) => pairs.push([x, y])));
    if (!pairs.length) pairs.push([shown[0], shown[0]]);
    const across = Math.min(pairs.length, matchMedia("(max-width: 700px)").matches ? 1 : 3), down = Math.ceil(pairs.length / across);
    const traces = [], axes = {}, shapes = [];
    pairs.forEach(([x, y], i) => {
      const n = i ? String(i + 1) : "", of = (a) => data.outcomes.map((one) => one.values[a.property]);
      for (const [standing, name, role, alpha, size] of STANDINGS) {
        const rows = data.outcomes.filter((one) => one.standing === standing);
        if (rows.length) traces.push({ mode: "markers", x: rows.map((r) => r.values[x.property]), y: rows.map((r) => r.values[y.property]), xaxis: `x${n}`, yaxis: `y${n}`, customdata: rows.map((r) => r.candidate), name, legendgroup: standing, showlegend: i === 0, marker: { ...marker(role, size), opacity: alpha }, text: rows.map((r) => told(data, r)), hovertemplate: "%{text}<extra></extra>" });
      }
      axes[`xaxis${n}`] = property(x, x.label + (ARROWS[x.goal] ?? "") + units(x), of(x));
      axes[`yaxis${n}`] = property(y, y.label + (ARROWS[y.goal] ?? "") + units(y), of(y));
      for (const [a, upright] of [[x, true], [y, false]]) {
        for (const [at, line] of [[a.reference, { color: colour("muted"), width: 1.1, dash: "6px,4px" }], [a.above, { color: colour("miss"), width: 1.1 }], [a.below, { color: colour("miss"), width: 1.1 }]]) {
          if (at === null) continue;
          shapes.push(upright ? { type: "line", xref: `x${n}`, yref: `y${n} domain`, x0: at, x1: at, y0: 0, y1: 1, line } : { type: "line", xref: `x${n} domain`, yref: `y${n}`, y0: at, y1: at, x0: 0, x1: 1, line });
        }
      }
    });
    return { traces, layout: layout({ height: 60 + 320 * down, grid: { rows: down, columns: across, pattern: "independent", xgap: 0.22, ygap: 0.26 }, shapes, ...axes }) };
  };

  const parallel = (data) => {
    const traces = [], annotations = [], shapes = [], note = (x, y, text, anchor, role, size) => annotations.push({ x, y, text, showarrow: false, yanchor: anchor, font: { size, color: colour(role) } });
    const heights = data.axes.map((a, i) => {
      const scaled = (value) => a.scale === "log10" ? Math.log10(value) : value, values = data.outcomes.map((one) => a.property in one.values ? one.values[a.property] : null).filter((v) => v !== null);
      const low = Math.min(...values), high = Math.max(...values), downwards = a.goal === "min" || (!a.goal && a.above === null);
      const height = (value) => { const part = (scaled(value) - scaled(low)) / (scaled(high) - scaled(low) || 1); return downwards ? 1 - part : part; };
      shapes.push({ type: "line", x0: i, x1: i, y0: 0, y1: 1, line: { color: colour("line"), width: 1.4 }, layer: "below" });
      for (const limit of [a.above, a.below]) if (limit !== null && low <= limit && limit <= high) shapes.push({ type: "line", x0: i - 0.05, x1: i + 0.05, y0: height(limit), y1: height(limit), line: { color: colour("miss"), width: 3 } });
      note(i, -0.03, number(downwards ? high : low), "top", "muted", 11.5);
      note(i, 1.03, number(downwards ? low : high), "bottom", "muted", 11.5);
      note(i, 1.14, `${a.label.replace(/ (?=\S+$)/, "<br>")}<br>${{ max: "highest", min: "lowest" }[a.goal] ?? "constraint"}${a.unit ? `, ${a.unit}` : ""}`, "bottom", "ink", 12);
      return height;
    });
    for (const [standing, name, role, alpha] of STANDINGS) {
      data.outcomes.filter((one) => one.standing === standing).forEach((one, i) => traces.push({
        mode: "lines+markers", x: data.axes.map((_, k) => k), y: data.axes.map((a, k) => heights[k](one.values[a.property])), customdata: data.axes.map(() => one.candidate), name, legendgroup: standing, showlegend: i === 0,
        line: { color: faded(role, standing === "front" ? 1 : 0.5 * alpha), width: standing === "front" ? 2 : 1.2 }, marker: { color: colour(role), size: 4 }, text: data.axes.map(() => told(data, one)), hovertemplate: "%{text}<extra></extra>",
      }));
    }
    const hidden = { visible: false, fixedrange: true };
    return { traces, layout: layout({ annotations, shapes, margin: { l: 20, r: 20, t: 20, b: 20 }, legend: { orientation: "h", x: 0.5, xanchor: "center", y: -0.02, yanchor: "top" }, xaxis: { ...hidden, range: [-0.4, data.axes.length - 0.6] }, yaxis: { ...hidden, range: [-0.14, 1.5] } }) };
  };

  const hypervolume = (data) => {
    const rows = data.growth, x = rows.map((_, i) => i + 1), of = (what) => rows.map((row) => row[what]), left = { mode: "lines", x, hoverinfo: "skip" };
    const title = "candidates, in the order they were picked", range = [0.5, Math.max(2, x.length) + 0.5];
    return { traces: [
      { ...left, y: of("expected_high"), line: { width: 0 }, showlegend: false },
      { ...left, y: of("expected_low"), line: { width: 0 }, fill: "tonexty", fillcolor: faded("band", 0.2), name: "random order: 90 %" },
      { ...left, y: of("expected"), line: { color: colour("band"), width: 1.6, dash: "6px,4px" }, name: "expected" },
      { ...left, hoverinfo: "x+y", y: of("hypervolume"), line: { color: colour("ink"), width: 2, shape: "hv" }, name: "this campaign" },
      { x, y: rows.map((row) => 100 * row.feasible_share), xaxis: "x2", yaxis: "y2", mode: "lines", line: { color: colour("second"), width: 2 }, showlegend: false, name: "feasible" },
    ], layout: layout({ grid: { rows: 1, columns: 2, pattern: "independent", xgap: 0.16 }, xaxis: axis(title, { range, tickformat: "d" }), yaxis: axis("hypervolume", { rangemode: "tozero" }), xaxis2: axis(title, { range, tickformat: "d" }), yaxis2: axis("meet every constraint (% so far)", { range: [0, 104] }) }) };
  };

  const CHARTS = {
    search: ["search", search, (d) => d.points.length > 1, "The search curve begins with the second result."],
    parity: ["predictions", parity, (d) => d.rows.length > 0, "No result was picked by a model yet."],
    calibration: ["predictions", calibration, (d) => d.calibration !== null, "Calibration is shown from 5 predictions on."],
    domain: ["predictions", domain, (d) => d.domain.length > 0, "No model could be judged yet."],
    models: ["models", models, (d) => d.filter((card) => card.metrics.mae != null).length > 0, "No model could be judged yet."],
    front: ["tradeoff", front, (d) => d.outcomes.length > 1, "The trade-off is drawn from two candidates on of which every objective and constraint is known."],
    parallel: ["tradeoff", parallel, (d) => d.outcomes.length > 1, "Nothing to compare yet."],
    hypervolume: ["tradeoff", hypervolume, (d) => d.growth.length > 1, "The hypervolume begins with the second candidate."],
    map: ["map", map, (d) => d.points.length > 1, "There are no candidates with descriptors yet."],
  };

  const draw = async () => {
    const asked = {}; // two figures may share one answer
    const get = (what) => asked[what] ??= fetch(`/api/campaigns/${campaign}/${what}`).then((answer) => answer.ok ? answer.json() : null);
    await Promise.all(places.map(async (place) => {
      const [what, make, enough, otherwise] = CHARTS[place.dataset.chart];
      const data = await get(what);
      if (data === null) return;
      if (!enough(data)) { place.classList.add("empty"); place.textContent = otherwise; return; }
      if (place.classList.contains("empty")) { place.textContent = ""; place.classList.remove("empty"); }
      const figure = make(data);
      if (figure.layout.height) place.style.height = `${figure.layout.height}px`;
      await Plotly.react(place, figure.traces, figure.layout, { responsive: true, displaylogo: false, displayModeBar: matchMedia("(hover: hover)").matches ? "hover" : false, modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]], toImageButtonOptions: { format: "svg" } });
      place.dataset.drawn = "true";
      if (!place.dataset.linked) {
        place.dataset.linked = "true";
        place.on("plotly_click", (event) => { const id = event.points[0]?.customdata; if (id) location.assign(link(id)); });
      }
    }));
  };
  draw();
  document.addEventListener("renewed", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
