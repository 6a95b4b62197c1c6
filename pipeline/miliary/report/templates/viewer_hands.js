  /* Mouse, fingers and keys; a part of viewer.js */
  function listen(pane) {
    const { canvas, p } = pane, down = new Map();
    let kind = "", start = null, apart = 0;
    const spot = (event) => {
      const box = canvas.getBoundingClientRect(), sharp = window.devicePixelRatio || 1;
      return [(event.clientX - box.left) * sharp, (event.clientY - box.top) * sharp];
    };
    const cross = (event) => { fromScreen(pane, lay(pane), ...spot(event)); show(); };
    const gap = () => {
      const [a, b] = Array.from(down.values());
      return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY) || 1;
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      down.set(event.pointerId, event);
      choosePlane(p);
      canvas.focus({ preventScroll: true });
      kind = event.button === 2 ? "window" : event.pointerType === "touch" ? "touch" : "cross";
      start = { x: event.clientX, y: event.clientY, at: at[pane.a], low, width, zoom, moved: false };
      if (down.size === 2) { kind = "pinch"; apart = gap(); }
      if (kind === "cross") { cross(event); }
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!down.has(event.pointerId)) { return; }
      down.set(event.pointerId, event);
      const right = event.clientX - start.x, below = event.clientY - start.y;
      start.moved = start.moved || Math.hypot(right, below) > 8;
      if (kind === "cross") { cross(event); }
      if (kind === "window") { setWindow(start.low + start.width / 2 + 3 * below, start.width + 4 * right); }
      if (kind === "pinch" && down.size === 2) { setZoom(start.zoom * gap() / apart); }
      if (kind === "touch" && start.moved) {
        const on = Math.round(below / canvas.clientHeight * shape[pane.a]);
        turn(p, (clamp(start.at + ON[pane.a] * on, pane.a) - at[pane.a]) * ON[pane.a]);
      }
    });
    const end = (event) => {
      if (kind === "touch" && !start.moved && event.type === "pointerup") { cross(event); }
      down.delete(event.pointerId);
      kind = "";
    };
    ["pointerup", "pointercancel"].forEach((name) => canvas.addEventListener(name, end));
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      if (event.ctrlKey) { setZoom(zoom * Math.exp(-event.deltaY / 200)); } else { turn(p, Math.sign(event.deltaY)); }
    }, { passive: false });
    canvas.addEventListener("focus", () => choosePlane(p));
    pane.slider.max = String(shape[pane.a] - 1);
    pane.slider.addEventListener("input", () => {
      const value = Number(pane.slider.value);
      turn(p, (pane.a === 0 ? shape[0] - 1 - value - at[0] : value - at[pane.a]) * ON[pane.a]);
    });
  }
  function key(event) {
    if (event.target.closest("select, input") || event.ctrlKey || event.metaKey || event.altKey) { return; }
    const flip = (id) => byId(id).click();
    const keys = {
      ArrowUp: () => turn(plane, -1), ArrowDown: () => turn(plane, 1),
      PageUp: () => turn(plane, -10), PageDown: () => turn(plane, 10),
      n: () => step(1), p: () => step(-1), "+": () => setZoom(zoom * 1.5), "=": () => setZoom(zoom * 1.5),
      "-": () => setZoom(zoom / 1.5), 0: () => setZoom(1), r: () => flip("rings"),
      s: () => next("slab"), w: () => next("window"), m: () => next("masks"),
    };
    const found = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (found) { event.preventDefault(); found(); }
  }
  function listenToAll() {
    panes.forEach(listen);
    document.addEventListener("keydown", key);
    ["slab", "masks", "vessels", "airways", "fissures", "opacity", "rings"].forEach((id) => {
      if (byId(id)) { ["change", "input"].forEach((name) => byId(id).addEventListener(name, show)); }
    });
    byId("window").addEventListener("change", preset);
    byId("order").addEventListener("change", list);
    const clicks = {
      before: () => step(-1), after: () => step(1), in: () => setZoom(zoom * 1.5), out: () => setZoom(zoom / 1.5),
      whole: () => setZoom(1),
    };
    Object.keys(clicks).forEach((id) => byId(id).addEventListener("click", clicks[id]));
    document.querySelectorAll("button[data-plane]").forEach((button) => {
      button.addEventListener("click", () => choosePlane(Number(button.dataset.plane)));
    });
    window.addEventListener("resize", show);
  }
