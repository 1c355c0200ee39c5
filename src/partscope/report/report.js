"use strict";
(() => {
  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  const make = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined) node.setAttribute(name, value);
    }
    node.append(...children.filter((child) => child !== null));
    return node;
  };

  // The pictures: read at first use, photographs decoded once each.
  const atlases = new Map();
  const atlasOf = (run) => {
    if (!atlases.has(run)) {
      const script = all("script.atlas").find((each) => each.dataset.run === run);
      atlases.set(run, { ...JSON.parse(script.textContent), shots: new Map(), layers: new Map() });
    }
    return atlases.get(run);
  };
  const photo = (atlas, image) => {
    if (!atlas.shots.has(image)) {
      const shot = new Image();
      shot.src = atlas.photos[image];
      atlas.shots.set(image, shot.decode().then(() => shot));
    }
    return atlas.shots.get(image);
  };

  // A map as a tiny picture whose opacity is the map; the browser smooths it when it is enlarged.
  const layer = (atlas, part, kind, place) => {
    const key = `${part} ${kind} ${place}`;
    if (!atlas.layers.has(key)) {
      const [rows, columns] = atlas.map;
      const digits = atob(atlas.parts[part][kind].replace(/=+$/, ""));
      const picture = make("canvas", { width: columns, height: rows });
      const pen = picture.getContext("2d");
      const pixels = pen.createImageData(columns, rows);
      for (let unit = 0; unit < rows * columns; unit += 1) {
        const share = digits.charCodeAt(place * rows * columns + unit) / 255;
        pixels.data.set([255, 214, 140, Math.round(255 * Math.min(1, 1.4 * share ** 0.7))], 4 * unit);
      }
      pen.putImageData(pixels, 0, 0);
      atlas.layers.set(key, picture);
    }
    return atlas.layers.get(key);
  };

  const at = (atlas, [left, top]) => [(left / 100) * atlas.size[1], (top / 100) * atlas.size[0]];
  const outlined = (pen, width, inner, outer, path) => {
    for (const [color, extra] of [[outer, 2], [inner, 0]]) {
      pen.strokeStyle = color;
      pen.lineWidth = width + extra;
      pen.beginPath();
      path();
      pen.stroke();
    }
  };
  const ring = (pen, x, y, radius) => {
    outlined(pen, 2.5, "#fff", "rgb(0 0 0 / .75)", () => pen.arc(x, y, radius, 0, 7));
  };
  const diamond = (pen, x, y, size) => {
    pen.beginPath();
    pen.moveTo(x, y - size); pen.lineTo(x + size, y); pen.lineTo(x, y + size); pen.lineTo(x - size, y);
    pen.closePath();
    pen.lineWidth = 3; pen.strokeStyle = "#fff"; pen.stroke();
    pen.fillStyle = "#56b4e9"; pen.fill();
    pen.lineWidth = 1.2; pen.strokeStyle = "#06263a"; pen.stroke();
  };
  const badge = (pen, x, y, text, up, strong) => {
    const radius = strong ? 15 : 11;
    pen.beginPath();
    if (up) pen.arc(x, y, radius, 0, 7); else pen.rect(x - radius, y - radius, 2 * radius, 2 * radius);
    pen.lineWidth = 3; pen.strokeStyle = "#fff"; pen.stroke();
    pen.fillStyle = up ? "#0072b2" : "#b23c00"; pen.fill();
    pen.fillStyle = "#fff";
    pen.font = `600 ${strong ? 16 : 13}px system-ui, sans-serif`;
    pen.textAlign = "center"; pen.textBaseline = "middle";
    pen.fillText(text, x, y + 0.5);
  };

  const prepared = (canvas, atlas, side, crop) => {
    const [left, top, width, height] = crop;
    const scale = side / Math.max(width, height);
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    const pen = canvas.getContext("2d");
    pen.imageSmoothingQuality = "high";
    return { pen, scale, spot: ([x, y]) => [(x - left) * scale, (y - top) * scale] };
  };
  const paintPhoto = (atlas, pen, shot, scale, [left, top]) => {
    pen.drawImage(shot, -left * scale, -top * scale, atlas.size[1] * scale, atlas.size[0] * scale);
  };
  const paintMap = (atlas, canvas, pen, picture, scale, [left, top]) => {
    const [x, y, width, height] = atlas.frame;
    const box = [
      ((x / 100) * atlas.size[1] - left) * scale, ((y / 100) * atlas.size[0] - top) * scale,
      (width / 100) * atlas.size[1] * scale, (height / 100) * atlas.size[0] * scale,
    ];
    const veil = make("canvas", { width: canvas.width, height: canvas.height });
    const brush = veil.getContext("2d");
    brush.fillStyle = "rgb(12 18 34 / .56)";
    brush.fillRect(0, 0, veil.width, veil.height);
    brush.globalCompositeOperation = "destination-out";
    brush.imageSmoothingQuality = "high";
    brush.drawImage(picture, ...box);
    pen.drawImage(veil, 0, 0);
    pen.globalAlpha = 0.4;
    pen.globalCompositeOperation = "soft-light";
    pen.drawImage(picture, ...box);
    pen.globalAlpha = 1;
    pen.globalCompositeOperation = "source-over";
  };

  /** Draws one image of one part: the photograph, its map as light, and marks. */
  const paintPart = async (canvas, look) => {
    const { run, part, place, map, marks, field, close, side } = look;
    const atlas = atlasOf(run);
    const facts = atlas.parts[part];
    const shot = await photo(atlas, facts.images[place]);
    const [height, width] = atlas.size;
    const peak = facts.points[place] && at(atlas, facts.points[place]);
    let crop = [0, 0, width, height];
    if (close) {
      const span = Math.min(height, width) / 2;
      const [x, y] = peak || [width / 2, height / 2];
      const inside = (value, length) => Math.min(Math.max(value - span / 2, 0), length - span);
      crop = [inside(x, width), inside(y, height), span, span];
    }
    const { pen, scale, spot } = prepared(canvas, atlas, side, crop);
    paintPhoto(atlas, pen, shot, scale, crop);
    if (map !== "off") paintMap(atlas, canvas, pen, layer(atlas, part, map, place), scale, crop);
    if (field && peak) {
      const [x, y] = spot(peak);
      const length = (atlas.field || 0) * scale;
      pen.setLineDash([7, 5]);
      if (length) outlined(pen, 2, "#fff", "rgb(0 0 0 / .6)", () => pen.rect(x - length / 2, y - length / 2, length, length));
      pen.setLineDash([]);
      if (facts.outline.length) {
        outlined(pen, 2.5, "#ffe08a", "rgb(0 0 0 / .75)", () => facts.outline.forEach((line) => {
          for (let k = 0; k < line.length; k += 2) pen[k ? "lineTo" : "moveTo"](x + line[k] * scale, y + line[k + 1] * scale);
          pen.closePath();
        }));
      }
    }
    if (marks && facts.landmarks[place]) diamond(pen, ...spot(at(atlas, facts.landmarks[place])), 7);
    if (marks && peak) ring(pen, ...spot(peak), side > 200 ? 11 : 9);
    if (!peak) {
      pen.fillStyle = "rgb(255 255 255 / .9)"; pen.fillRect(8, canvas.height - 32, 62, 24);
      pen.fillStyle = "#1b2430"; pen.font = "15px system-ui, sans-serif"; pen.fillText("silent", 18, canvas.height - 15);
    }
  };

  // Cards and close-ups: those in view first, the rest when there is time (so that they can be printed).
  const state = { map: "masked", marks: true };
  const waiting = new Set(all("canvas[data-part]"));
  const lookOf = (canvas) => ({
    run: canvas.dataset.run, part: canvas.dataset.part, place: Number(canvas.dataset.place), field: false,
    ...(canvas.classList.contains("closeup")
      ? { close: true, map: "off", marks: false, side: 240 }
      : { close: false, map: state.map, marks: state.marks, side: 224 }),
  });
  let busy = 0;
  const draw = async (canvas) => {
    waiting.delete(canvas);
    busy += 1;
    try { await paintPart(canvas, lookOf(canvas)); } finally { busy -= 1; }
  };
  const near = new Set();
  const watcher = new IntersectionObserver((entries) => {
    entries.forEach(({ target, isIntersecting }) => {
      near[isIntersecting ? "add" : "delete"](target);
      if (isIntersecting && waiting.has(target)) draw(target);
    });
  }, { rootMargin: "300px" });
  waiting.forEach((canvas) => watcher.observe(canvas));
  const soon = (task) => (window.requestIdleCallback ? requestIdleCallback(task, { timeout: 300 }) : setTimeout(task, 30));
  const drawRest = async () => {
    const some = Array.from(waiting).slice(0, 8);
    await Promise.all(some.map(draw));
    if (waiting.size || busy) soon(drawRest);
    else document.documentElement.dataset.drawn = "all";
  };
  const redraw = () => {
    delete document.documentElement.dataset.drawn;
    all("canvas.tile").forEach((canvas) => waiting.add(canvas));
    near.forEach((canvas) => { if (waiting.has(canvas)) draw(canvas); });
    soon(drawRest);
  };
  window.addEventListener("load", () => soon(drawRest));

  // The gallery's order and choice.
  const parts = all("#parts > .part");
  const form = one("#gallery form");
  const numeric = (text) => (text === "" ? null : Number(text));
  const compare = (a, b) => (a === null || b === null ? (a === null) - (b === null) : a < b ? -1 : a > b ? 1 : 0);
  const spelled = new Intl.Collator("en", { sensitivity: "base", numeric: true });
  const named = (a, b) => (!a || !b ? !a - !b : spelled.compare(a, b));
  const byShare = (a, b) => compare(numeric(b.dataset.contribution), numeric(a.dataset.contribution))
    * (a.dataset.contribution === "" || b.dataset.contribution === "" ? -1 : 1);
  const orders = {
    contribution: byShare,
    instability: (a, b) => compare(numeric(a.dataset.instability), numeric(b.dataset.instability)) || byShare(a, b),
    category: (a, b) => named(a.dataset.category, b.dataset.category) || byShare(a, b),
    landmark: (a, b) => named(a.dataset.landmark, b.dataset.landmark) || byShare(a, b),
    filter: (a, b) => Number(a.dataset.filter) - Number(b.dataset.filter),
  };
  const arrange = () => {
    const chosen = (name) => (form.elements[name] ? form.elements[name].value : "");
    const fits = (part) => ["category", "landmark"].every((name) => !chosen(name) || chosen(name) === `=${part.dataset[name]}`)
      && (chosen("share") === "" || (part.dataset.contribution !== "" && Number(part.dataset.contribution) >= Number(chosen("share"))));
    parts.forEach((part) => { part.hidden = !fits(part); });
    one("#parts").append(...parts.slice().sort(orders[chosen("sort")]));
    const shown = parts.filter((part) => !part.hidden).length;
    one("#part-count").textContent = `${shown} of ${parts.length} parts shown`;
    one("#no-part").hidden = shown > 0;
  };
  const look = () => {
    const [map, marks] = [form.elements.overlay.value, form.elements.marks.checked];
    if (map === state.map && marks === state.marks) return;
    Object.assign(state, { map, marks });
    redraw();
  };
  if (form) {
    form.addEventListener("change", () => { arrange(); look(); });
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(() => { arrange(); look(); }));
  }

  // Views that open over the page; the address's end names what is open, so links and Back work.
  const signed = (value) => {
    const text = Math.abs(value) < 0.0005 && value !== 0 ? value.toExponential(0) : value.toFixed(3);
    return (value > 0 ? "+" : "") + text.replace("-", "−");
  };
  const bar = (value, largest) => make("span", { class: "swing", "aria-hidden": "true" },
    make("i", { class: value < 0 ? "down" : "up", style: `width:${((50 * Math.abs(value)) / (largest || 1)).toFixed(1)}%` }));
  const judgedOf = (facts) => (/^(class |none )/.test(facts.judged) ? facts.judged : `“${facts.judged}”`);
  const head = (id, title, back, forward, kind) => make("header", {},
    make("h2", { id, tabindex: "-1", autofocus: "" }, title),
    make("nav", { "aria-label": `Other ${kind}s` },
      back === null ? null : make("a", { href: `#${kind}-${back}`, rel: "prev" }, `‹ previous ${kind}`),
      forward === null ? null : make("a", { href: `#${kind}-${forward}`, rel: "next" }, `next ${kind} ›`)),
    make("form", { method: "dialog" }, make("button", { class: "close" }, "Close")));
  const beside = (list, item) => {
    const place = list.indexOf(item);
    return place < 0 ? [null, null] : [list[place - 1] ?? null, list[place + 1] ?? null];
  };

  const showPart = (dialog, number) => {
    const atlas = atlasOf("");
    const facts = atlas.parts[number];
    const card = document.getElementById(`filter-${number}`);
    const order = all("#parts > .part:not([hidden])").map((part) => part.dataset.filter);
    const largest = Math.max(...(facts.moved || [0]).map(Math.abs));
    const sees = facts.outline.length
      ? `, what the filter was found to look at there (yellow line: the mean of its ${facts.measured} strongest images)` : "";
    const could = atlas.field ? `${sees ? " and" : ","} all that its layers let it see (dashed box)` : "";
    const unseen = sees ? "" : ` What it looks at of that ${facts.measured ? "could not be found: covering the image lowered nothing" : "was not measured for this filter"}.`;
    const note = `Each image three times: with the part location (ring)${sees}${could}, `
      + `under the filter’s map after the mask, and before it.${unseen}`;
    const figures = facts.images.map((image, place) => {
      const words = [facts.alts[place], `${facts.alts[place]}: map after the mask`, `${facts.alts[place]}: map before the mask`];
      const looks = [{ map: "off", marks: true, field: true }, { map: "masked", marks: false }, { map: "raw", marks: false }];
      const panels = looks.map((each, index) => {
        const canvas = make("canvas", { role: "img", "aria-label": words[index] });
        paintPart(canvas, { run: "", part: number, place, close: false, field: false, side: 300, ...each });
        return canvas;
      });
      const whole = atlas.images && atlas.images[image];
      const name = whole ? make("a", { href: `#image-${image}` }, atlas.names[image]) : atlas.names[image];
      return make("li", {}, make("figure", {}, make("div", { class: "three" }, ...panels),
        make("figcaption", {}, make("span", { class: "file" }, name),
          whole ? make("span", { class: "moved" }, `${signed(facts.moved[place])} to the score of ${judgedOf(whole)} `, bar(facts.moved[place], largest)) : null)));
    });
    const details = one(".facts", card).cloneNode(true);
    const of = card.dataset.category ? `, ${card.dataset.category}` : "";
    dialog.replaceChildren(head("part-view-title", `Filter ${number}${of}`, ...beside(order, number), "part"), details,
      make("p", { class: "note" }, note), make("ul", { class: "figures-of-part" }, ...figures));
  };

  const showImage = (dialog, image) => {
    const atlas = atlasOf("");
    const facts = atlas.images[image];
    const largest = Math.max(0, ...facts.parts.map(([, moved]) => Math.abs(moved)));
    const canvas = make("canvas", { role: "img" });
    const paint = async (strong) => {
      const shot = await photo(atlas, image);
      const crop = [0, 0, atlas.size[1], atlas.size[0]];
      const { pen, scale, spot } = prepared(canvas, atlas, 560, crop);
      paintPhoto(atlas, pen, shot, scale, crop);
      const mark = (index, large) => {
        const [, moved, place] = facts.parts[index];
        const before = facts.parts.slice(0, index).filter(([, , other]) => String(other) === String(place)).length;
        const [x, y] = spot(at(atlas, place));
        badge(pen, x + 17 * before, y + 5 * before, index + 1, moved > 0, large);
      };
      facts.parts.map((part, index) => index).reverse().forEach((index) => { if (index !== strong) mark(index, false); });
      if (strong !== null) mark(strong, true);
    };
    const rows = facts.parts.map(([filter, moved, [left, top]], index) => {
      const known = String(filter) in atlas.parts;
      const label = `Filter ${filter}`;
      const pixel = (share, length) => Math.round((share * length) / 10 - 5) / 10;
      const where = `${pixel(top, atlas.size[0])}, ${pixel(left, atlas.size[1])}`;
      const row = make("tr", {}, make("td", { class: "n" }, make("span", { class: moved > 0 ? "badge up" : "badge down" }, String(index + 1))),
        make("th", { scope: "row" }, known ? make("a", { href: `#part-${filter}` }, label) : label),
        make("td", {}, atlas.labels[filter] || "–"), make("td", {}, where),
        make("td", { class: "n" }, bar(moved, largest), signed(moved)));
      ["pointerenter", "focusin"].forEach((kind) => row.addEventListener(kind, () => paint(index)));
      ["pointerleave", "focusout"].forEach((kind) => row.addEventListener(kind, () => paint(null)));
      return row;
    });
    const listed = facts.parts.reduce((sum, [, moved]) => sum + moved, 0);
    const others = facts.active - facts.parts.length;
    const sum = (name, value) => make("tr", {}, make("td"), make("th", { scope: "row", colspan: 3 }, name), make("td", { class: "n" }, signed(value)));
    const table = make("table", {},
      make("thead", {}, make("tr", {}, ...["", "Part", "Best landmark", "Row, column", "Moved the score by"].map((name, index) => (
        name ? make("th", { scope: "col", class: index === 4 ? "n" : null }, name) : make("td"))))),
      make("tbody", {}, ...rows),
      make("tfoot", {}, others > 0 ? sum(`${others} other parts`, facts.sum - listed) : null, sum("All parts together", facts.sum)));
    canvas.setAttribute("aria-label", `${atlas.names[image]} with the places of the ${facts.parts.length} parts that moved the score most, numbered as in the table`);
    const said = `${facts.category === null ? "No category" : `Category “${facts.category}”`}. The network’s score of ${judgedOf(facts)} is ${facts.scores[0].toFixed(3)}; `
      + `from the explainer’s features it is ${facts.scores[1].toFixed(3)}. Blue discs raised it, red squares lowered it.`;
    dialog.replaceChildren(
      head("image-view-title", atlas.names[image], ...beside(thumbs.map(String), String(image)), "image"),
      make("p", { class: "note" }, said.replace(/-/g, "−")),
      make("div", { class: "one-image" }, make("div", { class: "picture" }, canvas),
        make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Parts of this image" }, table)));
    paint(null);
  };

  const views = { part: [one("#part-view"), showPart], image: [one("#image-view"), showImage] };
  const exists = (kind, number) => {
    if (!one("script.atlas[data-run='']")) return false;
    const atlas = atlasOf("");
    return kind === "part" ? Object.hasOwn(atlas.parts, number) && document.getElementById(`filter-${number}`) : Boolean(atlas.images && atlas.images[number] && atlas.photos[number]);
  };
  const follow = () => {
    const [, kind, number] = /^#(part|image)-(\d+)$/.exec(location.hash) || [];
    const open = kind && exists(kind, number);
    Object.entries(views).forEach(([name, [dialog]]) => { if (dialog && dialog.open && (!open || name !== kind)) dialog.close("moved"); });
    if (!open) return;
    const [dialog, show] = views[kind];
    show(dialog, kind === "image" ? Number(number) : number);
    if (dialog.open) one("h2", dialog).focus(); else dialog.showModal();
    dialog.scrollTop = 0;
  };
  let opener = null;
  Object.values(views).forEach(([dialog]) => {
    if (!dialog) return;
    dialog.addEventListener("close", () => {
      if (dialog.returnValue === "moved") { dialog.returnValue = ""; return; }
      history.replaceState(null, "", location.href.replace(/#.*$/, "#"));
      if (opener && opener.isConnected) opener.focus();
    });
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    dialog.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
      const link = step && !event.target.closest(".scroll") && one(`a[rel=${step}]`, dialog);
      if (link) link.click();
    });
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#part-'], a[href^='#image-']");
    if (link && !link.closest("dialog")) opener = link;
    if (link && link.getAttribute("href") === location.hash) follow();
  });
  window.addEventListener("hashchange", follow);

  // Thumbnails of the images, some at a time.
  const STEP = 60;
  const list = one("#thumbs");
  const choice = one("select[name=image-category]");
  let thumbs = [];
  let limit = STEP;
  const fillThumbs = () => {
    const atlas = atlasOf("");
    const wanted = choice ? choice.value : "";
    thumbs = atlas.photos.map((uri, image) => image).filter((image) => atlas.photos[image] && (!wanted || wanted === `=${atlas.images[image].category}`));
    const shown = thumbs.slice(0, limit);
    list.replaceChildren(...shown.map((image) => make("li", {}, make("a", { href: `#image-${image}` },
      make("img", { src: atlas.photos[image], alt: `Parts of ${atlas.names[image]}`, width: atlas.size[1], height: atlas.size[0], decoding: "async" })))));
    one("#more-images").hidden = shown.length === thumbs.length;
    one("#image-count").textContent = `${shown.length} of ${thumbs.length} images shown`;
  };
  if (list) {
    window.addEventListener("load", () => { fillThumbs(); follow(); });
    if (choice) choice.addEventListener("change", () => { limit = STEP; fillThumbs(); });
    one("#more-images").addEventListener("click", () => {
      const before = Math.min(limit, thumbs.length);
      limit += STEP;
      fillThumbs();
      one("a", list.children[before]).focus();
    });
  } else {
    window.addEventListener("load", follow);
  }

  // The table of all filters.
  const key = (cell) => {
    const text = cell.dataset.sort;
    if (text === "") return null;
    return cell.dataset.kind === "text" ? text : Number(text);
  };
  all("table.sortable").forEach((table) => {
    const body = table.tBodies[0];
    const heads = Array.from(table.tHead.rows[0].cells);
    heads.forEach((cell, column) => {
      one("button", cell).addEventListener("click", () => {
        const first = cell.dataset.first || "descending";
        const other = first === "descending" ? "ascending" : "descending";
        const order = cell.getAttribute("aria-sort") === first ? other : first;
        heads.forEach((each) => each.removeAttribute("aria-sort"));
        cell.setAttribute("aria-sort", order);
        const sign = order === "ascending" ? 1 : -1;
        const rows = Array.from(body.rows).map((row) => [key(row.cells[column]), row]);
        rows.sort(([a], [b]) => (a === null || b === null ? compare(a, b) : sign * compare(a, b)));
        body.append(...rows.map(([, row]) => row));
      });
    });
  });
})();
