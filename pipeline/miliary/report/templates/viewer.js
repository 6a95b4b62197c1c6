(function () {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const told = JSON.parse(byId("scene").textContent);
  const shape = told.shape, mm = told.spacing_mm, nodules = told.nodules;
  const [nz, ny, nx] = shape;
  // Of each plane: the axis it looks along, that of its rows and of its columns.
  const PLANES = [[0, 1, 2], [1, 0, 2], [2, 0, 1]];
  // The way to the feet, the back and the left is "on" for keys and wheel.
  const ON = [-1, 1, 1];
  const SIDES = [["R", "L", "A", "P"], ["R", "L", "H", "F"], ["A", "P", "H", "F"]];
  const LOBES = ["", "RUL", "RML", "RLL", "LUL", "LLL"];
  // By bit pattern of a label; the colours of the lobes are those of the report.
  const TINTS = [
    null, [86, 180, 233], [240, 228, 66], [0, 114, 178], [204, 121, 167], [0, 158, 115],
    [86, 180, 233], [0, 158, 115], [230, 159, 0], [213, 94, 0], [240, 228, 66], [255, 255, 255],
  ];
  const RIGHT = 6, LEFT = 7, AIRLESS = 8, VESSEL = 9, AIRWAY = 10, FISSURE = 11;
  const LARGEST_ZOOM = 16;
  const volume = new Uint8Array(nz * ny * nx);
  let labels = null;
  const at = told.start.slice(), middle = at.slice();
  let zoom = 1, chosen = -1, plane = 0, order = nodules.map((_, i) => i), wanted = false;
  let low = 0, width = 1;
  const panes = Array.from(document.querySelectorAll(".pane")).map(makePane);

  function makePane(element, p) {
    const [a, r, c] = PLANES[p];
    const picture = document.createElement("canvas");
    picture.width = shape[c]; picture.height = shape[r];
    const ink = picture.getContext("2d");
    const image = ink.createImageData(shape[c], shape[r]);
    return {
      element, p, a, r, c, picture, ink, image, pixels: new Uint32Array(image.data.buffer),
      grey: new Uint8Array(shape[r] * shape[c]), key: "", canvas: element.querySelector("canvas"),
      slider: element.querySelector("input"), output: element.querySelector("output"),
    };
  }

  /* Unpacking */
  function bytes(element) {
    const text = atob(element.textContent), found = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) { found[i] = text.charCodeAt(i); }
    element.remove();
    return found;
  }
  async function unpack() {
    const slices = Array.from(document.querySelectorAll(".slice"));
    const canvas = document.createElement("canvas");
    canvas.width = nx; canvas.height = ny;
    const ink = canvas.getContext("2d", { willReadFrequently: true });
    const decode = (z) => createImageBitmap(new Blob([bytes(slices[z])], { type: "image/webp" }));
    let ahead = decode(0);
    for (let z = 0; z < nz; z++) {
      const bitmap = await ahead;
      if (z + 1 < nz) { ahead = decode(z + 1); }
      ink.drawImage(bitmap, 0, 0);
      bitmap.close();
      const rgba = ink.getImageData(0, 0, nx, ny).data, start = z * ny * nx;
      for (let i = 0, j = 0; j < rgba.length; i++, j += 4) { volume[start + i] = rgba[j]; }
      if (z % 16 === 0) { byId("status").textContent = "Unpacking slice " + (z + 1) + " of " + nz; }
    }
    const packed = new Blob([bytes(byId("labels"))]).stream();
    const whole = new Response(packed.pipeThrough(new DecompressionStream("deflate")));
    labels = new Uint8Array(await whole.arrayBuffer());
  }

  /* What a pixel looks like */
  function tints() {
    const kind = byId("masks").value, on = (id) => byId(id) !== null && byId(id).checked;
    const found = new Uint8Array(256);
    for (let v = 1; v < 256; v++) {
      const lobe = v & 7, lung = (v >> 3) & 3;
      if (kind === "lobes") { found[v] = lobe || (lung === 3 ? AIRLESS : 0); }
      if (kind === "lungs") { found[v] = [0, RIGHT, LEFT, AIRLESS][lung]; }
      if ((v & 32) && on("vessels")) { found[v] = VESSEL; }
      if ((v & 64) && on("airways")) { found[v] = AIRWAY; }
      if ((v & 128) && on("fissures")) { found[v] = FISSURE; }
    }
    return found;
  }
  function colours() {
    const share = Number(byId("opacity").value) / 100, found = new Uint32Array(TINTS.length * 256);
    TINTS.forEach((tint, t) => {
      for (let g = 0; g < 256; g++) {
        const hu = told.low_hu + g * told.step_hu;
        const grey = 255 * Math.min(Math.max((hu - low) / width, 0), 1);
        const [r, gr, b] = (tint || [grey, grey, grey]).map((v) => Math.round(grey + (v - grey) * share));
        // Little-endian RGBA, as every browser in use has it.
        found[t * 256 + g] = (255 << 24) | (b << 16) | (gr << 8) | r;
      }
    });
    return found;
  }
  function slabOf(a) {
    const half = Number(byId("slab").value) / mm[a] / 2;
    const first = Math.max(Math.round(at[a] + 0.5 - half), 0);
    const last = Math.min(Math.round(at[a] + 0.5 + half), shape[a]) - 1;
    return last > first ? [first, last] : [at[a], at[a]];
  }
  function project(pane) {
    const [first, last] = slabOf(pane.a), key = first + "-" + last;
    if (pane.key === key) { return; }
    pane.key = key;
    const steps = [ny * nx, nx, 1], [rows, columns] = [shape[pane.r], shape[pane.c]];
    const grey = pane.grey, down = steps[pane.r], right = steps[pane.c];
    grey.fill(0);
    for (let k = first; k <= last; k++) {
      for (let row = 0; row < rows; row++) {
        // The head is at the top.
        const line = pane.r === 0 ? rows - 1 - row : row;
        let from = k * steps[pane.a] + line * down, to = row * columns;
        for (let i = 0; i < columns; i++, from += right, to++) {
          if (volume[from] > grey[to]) { grey[to] = volume[from]; }
        }
      }
    }
  }
  function paint(pane, tint, colour) {
    project(pane);
    const steps = [ny * nx, nx, 1], [rows, columns] = [shape[pane.r], shape[pane.c]];
    const { grey, pixels } = pane, right = steps[pane.c];
    const masked = labels !== null && tint.some((t) => t > 0);
    for (let row = 0, to = 0; row < rows; row++) {
      const line = pane.r === 0 ? rows - 1 - row : row;
      let from = at[pane.a] * steps[pane.a] + line * steps[pane.r];
      for (let i = 0; i < columns; i++, to++, from += right) {
        pixels[to] = colour[(masked ? tint[labels[from]] * 256 : 0) + grey[to]];
      }
    }
    pane.ink.putImageData(pane.image, 0, 0);
  }

  /* Where things are on the screen: pixels a mm, and the place of the first voxel's edge */
  function lay(pane) {
    const box = pane.canvas.getBoundingClientRect(), sharp = window.devicePixelRatio || 1;
    const w = Math.max(Math.round(box.width * sharp), 1), h = Math.max(Math.round(box.height * sharp), 1);
    if (pane.canvas.width !== w || pane.canvas.height !== h) { pane.canvas.width = w; pane.canvas.height = h; }
    const wide = shape[pane.c] * mm[pane.c], tall = shape[pane.r] * mm[pane.r];
    const scale = zoom * Math.min(w / wide, h / tall);
    const place = (size, length, axis, flip) => {
      const whole = (size - length * scale) / 2;
      if (length * scale <= size) { return whole; }
      const m = (middle[axis] + 0.5) * mm[axis];
      return Math.min(Math.max(size / 2 - scale * (flip ? length - m : m), size - length * scale), 0);
    };
    return {
      w, h, scale, sharp, wide, tall,
      left: place(w, wide, pane.c, false), top: place(h, tall, pane.r, pane.r === 0),
    };
  }
  function toScreen(pane, view, zyx) {
    const y = (zyx[pane.r] + 0.5) * mm[pane.r];
    return [
      view.left + view.scale * (zyx[pane.c] + 0.5) * mm[pane.c],
      view.top + view.scale * (pane.r === 0 ? view.tall - y : y),
    ];
  }
  function fromScreen(pane, view, x, y) {
    const down = (y - view.top) / view.scale, axis = pane.r;
    const place = { [pane.c]: (x - view.left) / view.scale, [axis]: axis === 0 ? view.tall - down : down };
    [pane.c, axis].forEach((k) => { at[k] = clamp(Math.floor(place[k] / mm[k]), k); });
  }
  const clamp = (value, axis) => Math.min(Math.max(value, 0), shape[axis] - 1);
  function draw(pane, tint, colour) {
    if (pane.element.offsetParent === null) { return; }
    paint(pane, tint, colour);
    const view = lay(pane), ink = pane.canvas.getContext("2d");
    ink.fillStyle = "#000";
    ink.fillRect(0, 0, view.w, view.h);
    ink.imageSmoothingEnabled = true;
    ink.imageSmoothingQuality = "high";
    ink.drawImage(pane.picture, view.left, view.top, view.wide * view.scale, view.tall * view.scale);
    drawCross(pane, view, ink);
    if (byId("rings").checked) { drawRings(pane, view, ink); }
    nameSides(pane, view, ink);
    pane.slider.value = String(pane.a === 0 ? shape[0] - 1 - at[0] : at[pane.a]);
    pane.output.textContent = (Number(pane.slider.value) + 1) + " of " + shape[pane.a];
  }
  function drawCross(pane, view, ink) {
    const [x, y] = toScreen(pane, view, at), gap = 14 * view.sharp;
    ink.strokeStyle = "rgba(98, 181, 232, .55)";
    ink.lineWidth = view.sharp;
    ink.beginPath();
    [[0, y, x - gap, y], [x + gap, y, view.w, y], [x, 0, x, y - gap], [x, y + gap, x, view.h]].forEach(
      ([a, b, c, d]) => { ink.moveTo(a, b); ink.lineTo(c, d); });
    ink.stroke();
  }
  function drawRings(pane, view, ink) {
    const [first, last] = slabOf(pane.a), s = view.sharp;
    ink.font = "600 " + 12 * s + "px system-ui, sans-serif";
    ink.textAlign = "left";
    nodules.forEach((nodule, i) => {
      const reach = Math.max(nodule[4] / 2 / mm[pane.a], 0.5);
      if (nodule[1 + pane.a] < first - reach || nodule[1 + pane.a] > last + reach) { return; }
      const [x, y] = toScreen(pane, view, nodule.slice(1, 4));
      const radius = (nodule[4] / 2 + told.ring_mm) * view.scale;
      ink.strokeStyle = ink.fillStyle = i === chosen ? "#fff" : "#ffb000";
      ink.lineWidth = (i === chosen ? 2 : 1.3) * s;
      ink.setLineDash(nodule[9] ? [] : [4 * s, 3 * s]);
      ink.beginPath();
      ink.arc(x, y, radius, 0, 2 * Math.PI);
      ink.stroke();
      if (i === chosen || zoom >= 4) { ink.fillText(String(nodule[0]), x + radius + 3 * s, y - radius / 2); }
    });
    ink.setLineDash([]);
  }
  function nameSides(pane, view, ink) {
    const [left, right, top, bottom] = SIDES[pane.p], s = view.sharp;
    ink.font = "600 " + 13 * s + "px system-ui, sans-serif";
    ink.fillStyle = "#fff";
    ink.strokeStyle = "#000";
    ink.lineWidth = 3 * s;
    [[left, 5 * s, view.h / 2, "left"], [right, view.w - 5 * s, view.h / 2, "right"],
      [top, view.w / 2, 15 * s, "center"], [bottom, view.w / 2, view.h - 6 * s, "center"]].forEach(
      ([name, x, y, align]) => {
        ink.textAlign = align;
        ink.strokeText(name, x, y);
        ink.fillText(name, x, y);
      });
  }

  const minus = (text) => text.replace("-", "−");
  function describe() {
    const [z, y, x] = at, place = told.affine.map((row) => row[0] * z + row[1] * y + row[2] * x + row[3]);
    const v = labels === null ? 0 : labels[(z * ny + y) * nx + x];
    const hu = told.low_hu + told.step_hu * volume[(z * ny + y) * nx + x];
    const lung = ["outside the lungs", "right lung", "left lung", "airless"][(v >> 3) & 3];
    const words = [lung, LOBES[v & 7], v & 32 ? "vessel" : "", v & 64 ? "airway" : "", v & 128 ? "fissure" : ""];
    const lines = [
      place.map((value, k) => "xyz"[k] + " " + minus(value.toFixed(1))).join(", ") + " mm (LPS)",
      "about " + minus(String(Math.round(hu))) + " HU, " + words.filter(Boolean).join(", "),
    ];
    if (chosen >= 0) {
      const n = nodules[chosen];
      lines.push("nodule " + n[0] + ": " + n[4].toFixed(2) + " mm, score " + n[5].toFixed(2) + (n[8] ? ", " + n[8] + " zone" : ""));
    }
    byId("place").textContent = lines.join("\n");
  }
  function show() {
    if (wanted) { return; }
    wanted = true;
    requestAnimationFrame(() => {
      wanted = false;
      const tint = tints(), colour = colours();
      panes.forEach((pane) => draw(pane, tint, colour));
      describe();
    });
  }

  /* What the reader does */
  function choosePlane(p) {
    plane = p;
    panes.forEach((pane) => pane.element.classList.toggle("chosen", pane.p === p));
    document.querySelectorAll("button[data-plane]").forEach((button) => {
      button.setAttribute("aria-pressed", String(Number(button.dataset.plane) === p));
    });
    show();
  }
  function turn(p, steps) {
    const a = PLANES[p][0];
    at[a] = clamp(at[a] + steps * ON[a], a);
    if (zoom > 1) { middle[a] = at[a]; }
    show();
  }
  function setZoom(value) {
    zoom = Math.min(Math.max(value, 1), LARGEST_ZOOM);
    middle.splice(0, 3, ...at);
    show();
  }
  function setWindow(center, span) {
    width = Math.max(span, 20);
    low = center - width / 2;
    show();
  }
  function preset() {
    const of = { lung: told.window, narrow: [-750, 700], tissue: [40, 400] };
    setWindow(...of[byId("window").value]);
  }
  function next(id) {
    const list = byId(id);
    list.selectedIndex = (list.selectedIndex + 1) % list.options.length;
    list.dispatchEvent(new Event("change"));
  }
  function go(i) {
    if (!nodules.length) { return; }
    chosen = i;
    for (let a = 0; a < 3; a++) { at[a] = clamp(Math.round(nodules[i][1 + a]), a); }
    middle.splice(0, 3, ...at);
    byId("nodules").querySelectorAll("[aria-current]").forEach((b) => b.removeAttribute("aria-current"));
    const button = byId("nodules").children[order.indexOf(i)].firstChild;
    button.setAttribute("aria-current", "true");
    button.scrollIntoView({ block: "nearest" });
    show();
  }
  function step(by) {
    const now = order.indexOf(chosen), n = order.length;
    go(order[now < 0 ? (by > 0 ? 0 : n - 1) : (now + by + n) % n]);
  }
  function list() {
    const by = {
      number: (n) => n[0], large: (n) => -n[4], small: (n) => n[4], score: (n) => -n[5], high: (n) => -n[1],
    }[byId("order").value];
    order = nodules.map((_, i) => i).sort((i, j) => by(nodules[i]) - by(nodules[j]));
    byId("nodules").replaceChildren(...order.map((i) => {
      const item = document.createElement("li"), button = document.createElement("button"), n = nodules[i];
      [n[0], n[4].toFixed(2) + " mm", n[7] || n[6]].forEach((words) => {
        button.appendChild(document.createElement("span")).textContent = String(words);
      });
      button.type = "button";
      if (i === chosen) { button.setAttribute("aria-current", "true"); }
      button.addEventListener("click", () => go(i));
      item.appendChild(button);
      return item;
    }));
  }

{% include "viewer_hands.js" %}

  if (typeof DecompressionStream === "undefined" || typeof createImageBitmap === "undefined") {
    byId("status").textContent = "Needs a newer browser: of 2023 or later.";
    return;
  }
  unpack().then(() => {
    panes.forEach((pane) => { pane.key = ""; });
    byId("status").textContent = "";
    listenToAll();
    list();
    preset();
    choosePlane(0);
    const asked = /^#n=(\d+)$/.exec(location.hash);
    const found = asked ? nodules.findIndex((n) => n[0] === Number(asked[1])) : -1;
    if (found >= 0) { go(found); }
    document.body.dataset.ready = "yes";
  }, (error) => { byId("status").textContent = "The scan could not be unpacked: " + error; });
})();
