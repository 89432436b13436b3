// The three-dimensional structure of a candidate, with 3Dmol.js; a flat drawing where WebGL is missing.
"use strict";
(() => {
  const place = document.getElementById("viewer");
  if (!place) return;
  const campaign = document.getElementById("head").dataset.campaign;
  const address = `/api/campaigns/${campaign}/candidates/${place.dataset.candidate}/shape`;
  const ink = getComputedStyle(document.documentElement).getPropertyValue("--band").trim();
  const STYLES = {
    ball: { sphere: { scale: 0.28, colorscheme: "Jmol" }, stick: { radius: 0.11, colorscheme: "Jmol" } },
    space: { sphere: { scale: 0.75, colorscheme: "Jmol" } },
    stick: { stick: { radius: 0.16, colorscheme: "Jmol" }, sphere: { scale: 0.16, colorscheme: "Jmol" } },
  };
  // Quaternions (x, y, z, w): c upright, then a quarter of a look round and a little from above.
  const turn = (axis, degrees) => [0, 1, 2].map((i) => i === axis ? Math.sin(degrees * Math.PI / 360) : 0).concat(Math.cos(degrees * Math.PI / 360));
  const after = ([a, b, c, d], [x, y, z, w]) => [d * x + a * w + b * z - c * y, d * y - a * z + b * w + c * x, d * z + a * y - b * x + c * w, d * w - a * x - b * y - c * z];
  const UPRIGHT = after(turn(0, 13), after(turn(1, -24), turn(0, -90)));
  let style = "ball", repeat = 1, spinning = false, viewer = null;

  const flat = (why) => {
    const drawing = document.querySelector(".viewer-flat");
    drawing.hidden = false;
    place.hidden = true;
    drawing.insertAdjacentHTML("beforeend", `<p class="muted small">${why}</p>`);
  };

  const vector = ([x, y, z]) => ({ x, y, z });
  const along = (cell, i, j, k) => [0, 1, 2].map((c) => i * cell[0][c] + j * cell[1][c] + k * cell[2][c]);
  const edges = (shape) => {
    const [na, nb, nc] = shape.repeats, { cell } = shape;
    const line = (from, to) => viewer.addCylinder({ start: vector(along(cell, ...from)), end: vector(along(cell, ...to)), radius: 0.025, color: ink, fromCap: 1, toCap: 1 });
    for (let i = 0; i <= na; i++) for (let j = 0; j <= nb; j++) line([i, j, 0], [i, j, nc]);
    for (let i = 0; i <= na; i++) for (let k = 0; k <= nc; k++) line([i, 0, k], [i, nb, k]);
    for (let j = 0; j <= nb; j++) for (let k = 0; k <= nc; k++) line([0, j, k], [na, j, k]);
  };

  const show = async (anew) => {
    const answer = await fetch(`${address}?repeat=${repeat}`);
    if (!answer.ok) { flat((await answer.json()).detail); return; }
    const shape = await answer.json();
    viewer.removeAllModels();
    viewer.removeAllShapes();
    const model = viewer.addModel();
    model.addAtoms(shape.atoms.map((atom, i) => ({ elem: atom.symbol, x: atom.x, y: atom.y, z: atom.z, serial: i, bonds: atom.bonds, bondOrder: atom.orders.map((order) => order === 1.5 ? 1.5 : order) })));
    viewer.setStyle({}, STYLES[style]);
    if (shape.cell.length) edges(shape);
    viewer.setHoverable({}, true,
      (atom) => { atom.label ??= viewer.addLabel(`${atom.elem}  (${atom.x.toFixed(2)}, ${atom.y.toFixed(2)}, ${atom.z.toFixed(2)}) Å`, { position: atom, backgroundColor: "#1b2530", backgroundOpacity: 0.85, fontSize: 12, inFront: true }); },
      (atom) => { if (atom.label) { viewer.removeLabel(atom.label); delete atom.label; } });
    if (anew) {
      viewer.setView([0, 0, 0, 0, ...(shape.cell.length ? UPRIGHT : [0, 0, 0, 1])]);
    }
    viewer.zoomTo();
    viewer.zoom(shape.cell.length ? 1.2 : 1);
    viewer.render();
    place.dataset.atoms = shape.atoms.length;
    place.dataset.drawn = "true";
  };

  try {
    viewer = $3Dmol.createViewer(place, { backgroundAlpha: 0, antialias: true, preserveDrawingBuffer: true });
    if (!viewer || !place.querySelector("canvas")?.getContext) throw new Error();
  } catch {
    flat("This browser has no WebGL: the structure is drawn flat.");
    return;
  }
  viewer.setBackgroundColor(0xffffff, 0);
  show(true);

  const press = (button, group) => {
    for (const other of document.querySelectorAll(`[data-${group}]`)) other.toggleAttribute("aria-pressed", false);
    button.setAttribute("aria-pressed", "true");
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.dataset.style) { style = button.dataset.style; press(button, "style"); viewer.setStyle({}, STYLES[style]); viewer.render(); }
    else if (button?.dataset.repeat) { repeat = Number(button.dataset.repeat); press(button, "repeat"); show(false); }
    else if (button?.dataset.spin !== undefined) { spinning = !spinning; button.setAttribute("aria-pressed", String(spinning)); viewer.spin(spinning ? "y" : false); }
    else if (button?.dataset.picture !== undefined) { const a = document.createElement("a"); a.href = viewer.pngURI(); a.download = "structure.png"; a.click(); }
  });
  new ResizeObserver(() => viewer.resize()).observe(place);
})();
