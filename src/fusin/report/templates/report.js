(() => {
  "use strict";
  const root = document.documentElement;
  for (const part of document.querySelectorAll("[data-needs-script]")) part.hidden = false;

  const overlay = document.getElementById("toggle-pet");
  if (overlay) overlay.addEventListener("change", () => root.classList.toggle("without-pet", !overlay.checked));
  const outlines = document.getElementById("toggle-outlines");
  if (outlines) outlines.addEventListener("change", () => root.classList.toggle("without-outlines", !outlines.checked));

  const holder = document.getElementById("turning-data");
  const picture = document.getElementById("turning");
  if (!holder || !picture) return;
  const data = JSON.parse(holder.textContent);
  const space = "http://www.w3.org/2000/svg";
  const total = 2 * data.frames;
  const make = (name, attributes, parent) => {
    const node = document.createElementNS(space, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    parent.appendChild(node);
    return node;
  };
  const colours = { lesion: "#D55E00", reference: "#0072B2", physiological: "#6B7280" };
  const dashes = { lesion: "none", reference: "1.5 2.2", physiological: "5 3" };

  picture.setAttribute("viewBox", `0 0 ${data.width} ${data.height}`);
  picture.setAttribute("width", data.width);
  picture.setAttribute("height", data.height);
  const mirrored = make("g", {}, picture);
  const clip = make("svg", { width: data.width, height: data.height, overflow: "hidden" }, mirrored);
  const strip = make("image", {
    href: data.picture, width: data.width * data.frames, height: data.height, preserveAspectRatio: "none",
  }, clip);
  const regions = data.regions.map((region) => {
    const layer = make("g", { class: `outline-${region.kind}` }, mirrored);
    make("title", {}, layer).textContent = region.title;
    const path = make("path", {
      fill: "none", stroke: colours[region.kind], "stroke-width": 1.5, "stroke-dasharray": dashes[region.kind],
    }, layer);
    return { region, path };
  });
  const texts = regions.filter(({ region }) => region.labels.length).map(({ region }) => {
    const leads = region.kind === "lesion";
    const parent = make(leads ? "a" : "g", leads ? { href: `#tile-${region.key}` } : {}, picture);
    const line = make("line", { stroke: colours[region.kind], "stroke-width": 0.7, "stroke-opacity": 0.6 }, parent);
    const text = make("text", {
      "font-size": 12, "font-weight": 700, "text-anchor": "middle", fill: leads ? "#1B2430" : colours.reference,
      stroke: "#FFFFFF", "stroke-width": 3, "paint-order": "stroke",
    }, parent);
    text.textContent = region.text;
    return { region, text, line };
  });
  const sides = [make("text", { x: 9, y: 15 }, picture), make("text", { x: data.width - 9, y: 15 }, picture)];
  for (const side of sides) {
    for (const [key, value] of [["font-size", 11], ["text-anchor", "middle"], ["fill", "#5B6673"]]) {
      side.setAttribute(key, value);
    }
  }

  const slider = document.getElementById("turning-angle");
  const button = document.getElementById("turning-play");
  const words = document.getElementById("turning-words");
  const views = [["from the front", "R", "L"], ["from the left", "A", "P"], ["from behind", "L", "R"], ["from the right", "P", "A"]];
  slider.max = total - 1;
  let current = -1;

  const show = (wanted) => {
    const frame = ((wanted % total) + total) % total;
    if (frame === current) return;
    current = frame;
    const kept = frame % data.frames;
    const mirror = frame >= data.frames;
    const flip = (x) => (mirror ? data.width - x : x);
    mirrored.setAttribute("transform", mirror ? `translate(${data.width} 0) scale(-1 1)` : "");
    strip.setAttribute("x", -kept * data.width);
    for (const { region, path } of regions) path.setAttribute("d", region.paths[kept]);
    for (const { region, text, line } of texts) {
      const [x, y, fromX, fromY] = region.labels[kept];
      const there = region.paths[kept] !== "";
      text.setAttribute("visibility", there ? "visible" : "hidden");
      text.setAttribute("x", flip(x));
      text.setAttribute("y", y + 4);
      const far = there && Math.hypot(x - fromX, y - fromY) > 22;
      line.setAttribute("visibility", far ? "visible" : "hidden");
      line.setAttribute("x1", flip(x));
      line.setAttribute("y1", y);
      line.setAttribute("x2", flip(fromX));
      line.setAttribute("y2", fromY);
    }
    const degrees = Math.round((360 * frame) / total);
    const near = Math.round((4 * frame) / total) % 4;
    const square = degrees % 90 === 0;
    sides.forEach((side, i) => { side.textContent = square || Math.abs(degrees - 90 * near) <= 20 || near === 0 && degrees >= 340 ? views[near][i + 1] : ""; });
    words.textContent = square ? `${degrees}°, ${views[near][0]}` : `${degrees}°`;
    slider.value = frame;
  };

  let playing = false;
  let clock = 0;
  const step = (now) => {
    if (!playing) return;
    if (now - clock > 150) {
      clock = now;
      show(current + 1);
    }
    requestAnimationFrame(step);
  };
  const play = (wanted) => {
    if (wanted === playing) return;
    playing = wanted;
    button.textContent = playing ? "Pause" : "Turn";
    if (playing) requestAnimationFrame(step);
  };
  button.addEventListener("click", () => play(!playing));
  slider.addEventListener("input", () => { play(false); show(Number(slider.value)); });
  picture.addEventListener("keydown", (event) => {
    if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      play(false);
      show(current + (event.key === "ArrowRight" ? 1 : -1));
      event.preventDefault();
    } else if (event.key === " ") {
      play(!playing);
      event.preventDefault();
    }
  });
  let grip = null;
  picture.addEventListener("pointerdown", (event) => { grip = { x: event.clientX, frame: current, id: event.pointerId }; });
  picture.addEventListener("pointermove", (event) => {
    if (!grip) return;
    const moved = event.clientX - grip.x;
    if (Math.abs(moved) < 4) return;
    play(false);
    picture.setPointerCapture(grip.id);
    show(grip.frame - Math.round((moved / picture.clientWidth) * data.frames));
  });
  for (const name of ["pointerup", "pointercancel"]) picture.addEventListener(name, () => { grip = null; });

  show(0);
  if (!window.matchMedia("(prefers-reduced-motion: reduce)").matches) play(true);
})();
