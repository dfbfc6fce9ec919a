// The interactive figure of a page: values under the pointer, forms on and off, linear and logarithmic axes.
// It draws the numbers that the page holds, loads nothing, and writes text as text. Without it the page shows the
// figure that does not move.
"use strict";
(() => {
  // ------------------------------------------------------------------------------------------- pure functions

  /** Function from values to places between `from` and `to`; null where a logarithmic axis has no place. */
  function scale([low, high], isLog, from, to) {
    const f = isLog ? Math.log10 : Number;
    const start = f(low);
    const width = f(high) - start;
    const far = 20 * Math.abs(to - from); // pictures far outside the frame are cut off by browsers in odd ways
    return (value) => {
      if (value === null || (isLog && value <= 0)) return null;
      const place = from + ((f(value) - start) / width) * (to - from);
      return Math.max(-far, Math.min(far, place));
    };
  }

  /** Limits of an axis: its values and some room. */
  function limits(values, isLog, room) {
    const kept = values.filter((value) => value !== null && (!isLog || value > 0));
    const low = kept.reduce((a, b) => Math.min(a, b));
    const high = kept.reduce((a, b) => Math.max(a, b));
    if (isLog) {
      const factor = high > low ? Math.pow(high / low, room) : 2;
      return [low / factor, high * factor];
    }
    const pad = high > low ? room * (high - low) : Math.abs(high) * 0.1 || 1;
    return [low - pad, high + pad];
  }

  /** Values at which an axis has ticks, `count` or so. */
  function ticks([low, high], isLog, count) {
    if (isLog) {
      const decades = Math.log10(high / low);
      const parts = decades < 3.2 && 3 * decades <= 1.5 * count ? [1, 2, 5] : [1];
      const stride = Math.max(1, Math.ceil(decades / count));
      const found = [];
      for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
        if (power % stride !== 0) continue;
        for (const part of parts) {
          const value = Number(`${part}e${power}`);
          if (value >= low && value <= high) found.push(value);
        }
      }
      if (found.length > 1) return found; // a short axis lies between two powers of ten, and is nearly linear
    }
    const least = (high - low) / count;
    const power = Math.pow(10, Math.floor(Math.log10(least)));
    const step = [1, 2, 5, 10].map((part) => part * power).find((value) => value >= least);
    const found = [];
    for (let k = Math.ceil(low / step); k * step <= high; k += 1) found.push(Number((k * step).toPrecision(12)));
    return found;
  }

  /** A number for people. */
  function inWords(value, digits) {
    if (value === null) return "no value";
    const size = Math.abs(value);
    const text =
      size !== 0 && (size < 1e-4 || size >= 1e9)
        ? Number(value.toPrecision(digits)).toExponential().replace("e+", "e")
        : value.toLocaleString("en-US", { maximumSignificantDigits: digits });
    return text.replace(/-/g, "−");
  }

  /** Number of the point nearest to a place: along x, then along y. -1 where none has a place. */
  function nearest(places, [x, y]) {
    let best = -1;
    let least = [Infinity, Infinity];
    places.forEach((place, number) => {
      if (place[0] === null || place[1] === null) return;
      const far = [Math.abs(place[0] - x), Math.abs(place[1] - y)];
      if (far[0] < least[0] || (far[0] === least[0] && far[1] < least[1])) [best, least] = [number, far];
    });
    return best;
  }

  /** Path of a line that breaks where it has no place. */
  function path(places) {
    let command = "M";
    return places
      .map(([x, y]) => {
        if (x === null || y === null) {
          command = "M";
          return "";
        }
        const part = `${command}${x.toFixed(2)},${y.toFixed(2)}`;
        command = "L";
        return part;
      })
      .join("");
  }

  /** What is said of a point: x, y and the values of the forms shown. */
  function sentence(data, number, shown) {
    const parts = [`${data.x_label}: ${inWords(data.x[number], 6)}`, `${data.y_label}: ${inWords(data.y[number], 5)}`];
    data.forms.forEach((form, place) => {
      if (shown[place]) parts.push(`${form.title}: ${inWords(form.at[number], 5)}`);
    });
    return parts.join("; ");
  }

  if (typeof document === "undefined") {
    module.exports = { scale, limits, ticks, inWords, nearest, path, sentence };
    return;
  }

  // ------------------------------------------------------------------------------------------------- the page

  const SVG = "http://www.w3.org/2000/svg";
  const chart = document.getElementById("chart");
  const data = JSON.parse(chart.dataset.fit);
  const state = { log: { x: data.log_x, y: data.log_y }, shown: data.forms.map((form) => form.shown), point: null };
  let places = [];

  function element(name, attributes, ...children) {
    const made = document.createElement(name);
    Object.assign(made, attributes);
    made.append(...children);
    return made;
  }

  function shape(name, attributes, parent) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    parent.append(made);
    return made;
  }

  const picture = shape("svg", { "aria-hidden": "true" }, chart); // what it shows is said below it
  const told = element("p", { className: "told" });
  told.setAttribute("aria-live", "polite");
  const slider = element("input", { type: "range", min: 0, max: data.x.length - 1, step: 1, value: 0 });

  /** Draw the axes, the points and the forms anew. */
  function draw() {
    const width = Math.max(240, chart.clientWidth);
    const height = Math.round(Math.max(220, Math.min(420, 0.62 * width)));
    const range = { x: limits(data.x, state.log.x, 0.02), y: limits(data.y, state.log.y, 0.08) };
    const at = {
      x: ticks(range.x, state.log.x, width < 420 ? 4 : 8),
      y: ticks(range.y, state.log.y, 6),
    };
    const names = at.y.map((value) => inWords(value, 6));
    const box = { left: 14 + 7.2 * Math.max(...names.map((name) => name.length)), right: width - 18, top: 10 };
    box.bottom = height - 26;
    const sx = scale(range.x, state.log.x, box.left, box.right);
    const sy = scale(range.y, state.log.y, box.bottom, box.top);

    picture.replaceChildren();
    picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const cut = shape("clipPath", { id: "chart-frame" }, shape("defs", {}, picture));
    const frame = { x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top };
    shape("rect", frame, cut);
    at.x.forEach((value) => {
      shape("path", { class: "grid", d: `M${sx(value)},${box.top}V${box.bottom}` }, picture);
      const place = { x: sx(value), y: box.bottom + 18, "text-anchor": "middle" };
      shape("text", place, picture).textContent = inWords(value, 6);
    });
    at.y.forEach((value, number) => {
      shape("path", { class: "grid", d: `M${box.left},${sy(value)}H${box.right}` }, picture);
      const place = { x: box.left - 6, y: sy(value) + 4, "text-anchor": "end" };
      shape("text", place, picture).textContent = names[number];
    });
    shape("path", { class: "axis", d: `M${box.left},${box.top}V${box.bottom}H${box.right}` }, picture);

    const inside = shape("g", { "clip-path": "url(#chart-frame)" }, picture);
    places = data.x.map((x, number) => [sx(x), sy(data.y[number])]);
    const kept = places.filter(([x, y]) => x !== null && y !== null);
    // each point is a line of no length with a round end: one element for all of them
    const dots = kept.map(([x, y]) => `M${x.toFixed(2)},${y.toFixed(2)}h0`).join("");
    shape("path", { class: kept.length > 2000 ? "points many" : "points", d: dots }, inside);
    if (data.band.length && state.shown[0]) {
      const edges = data.band.map((limit) => data.grid.map((x, place) => [sx(x), sy(limit[place]) ?? box.bottom]));
      const [low, high] = edges; // a limit without a place on a logarithmic axis lies below the frame
      const edge = [...low, ...high.reverse()].filter(([x]) => x !== null);
      shape("path", { class: "band", fill: data.forms[0].color, d: `${path(edge)}Z` }, inside);
    }
    data.forms.forEach((form, number) => {
      if (!state.shown[number]) return;
      const line = { class: "form", stroke: form.color, "stroke-dasharray": form.dash };
      line.d = path(data.grid.map((x, place) => [sx(x), sy(form.curve[place])]));
      shape("path", line, inside);
    });
    const lost = data.x.length - kept.length;
    left.textContent = lost ? `Points without a place on a logarithmic axis: ${lost}.` : "";
    mark();
  }

  /** Mark the point that was chosen, and say what it is. */
  function mark() {
    picture.querySelectorAll(".mark").forEach((old) => old.remove());
    if (state.point === null) return;
    slider.value = state.point;
    told.textContent = sentence(data, state.point, state.shown);
    slider.setAttribute("aria-valuetext", told.textContent);
    const [x, y] = places[state.point];
    if (x === null || y === null) return;
    shape("circle", { class: "mark", cx: x, cy: y, r: 6 }, picture);
  }

  function choose(number) {
    if (number < 0) return;
    state.point = number;
    mark();
  }

  function follow(event) {
    const box = picture.getBoundingClientRect();
    const factor = picture.viewBox.baseVal.width / box.width;
    choose(nearest(places, [(event.clientX - box.left) * factor, (event.clientY - box.top) * factor]));
  }

  /** A box to tick, with its text. */
  function toggle(isOn, isPossible, text, change, ...before) {
    const box = element("input", { type: "checkbox", checked: isOn, disabled: !isPossible });
    box.addEventListener("change", () => {
      change(box.checked);
      draw();
    });
    return element("label", {}, box, ...before, element("span", {}, text));
  }

  function sample(form) {
    const made = document.createElementNS(SVG, "svg");
    made.setAttribute("class", "sample");
    made.setAttribute("viewBox", "0 0 28 8");
    made.setAttribute("aria-hidden", "true");
    shape("path", { class: "form", stroke: form.color, "stroke-dasharray": form.dash, d: "M0,4H28" }, made);
    return made;
  }

  function group(title, ...children) {
    return element("fieldset", {}, element("legend", {}, title), ...children);
  }

  const left = element("p", { className: "note" });
  const forms = data.forms.map((form, number) => {
    const change = (isOn) => (state.shown[number] = isOn);
    return toggle(form.shown, true, form.label, change, sample(form));
  });
  const axes = ["x", "y"].map((name) => {
    const isPossible = data[name].filter((value) => value > 0).length > 1;
    return toggle(state.log[name], isPossible, `logarithmic ${name}`, (isOn) => (state.log[name] = isOn));
  });

  told.textContent = "Point at the figure, or move along the points below it, to read values.";
  const notes = chart.querySelectorAll(".note");
  chart.prepend(element("p", { className: "across" }, data.y_label));
  chart.append(
    element("p", { className: "along" }, data.x_label),
    element("label", { className: "move" }, "Point ", slider),
    told,
    ...notes,
    left,
    group("Forms", ...forms),
    group("Axes", ...axes),
  );
  slider.addEventListener("input", () => choose(Number(slider.value)));
  slider.addEventListener("focus", () => choose(Number(slider.value)));
  picture.addEventListener("pointermove", follow);
  picture.addEventListener("pointerdown", follow);
  chart.hidden = false; // from here on it stands in for the figure that does not move
  draw();
  new ResizeObserver(draw).observe(chart);
})();
