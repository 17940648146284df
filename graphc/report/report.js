"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("r-data").textContent);
  const last = data.steps.length;
  const lists = [...document.querySelectorAll("ol.steps")];
  const byNode = new Map();
  for (const element of document.querySelectorAll("[data-nodes]")) index(element);
  let at = 0, chosen = 0, tab = "both", timer = 0, pinned = [], current = [], marks = [], shown = [];

  function index(element) {
    for (const id of element.dataset.nodes.split(" ")) byNode.set(id, [...(byNode.get(id) ?? []), element]);
  }
  const elementsOf = (ids) => new Set(ids.flatMap((id) => byNode.get(id) ?? []));
  const range = () => {
    const turn = data.steps.findIndex((step) => step.backward);
    const split = turn < 0 ? last : turn;
    return { both: [1, last], forward: [1, split], backward: [Math.min(split + 1, last), last] }[tab];
  };

  // A step changes what it is about and nothing else, whatever the size of the graph.
  function bring(step, known) {
    for (const id of [...step.made, ...step.edges]) $(id)?.classList.toggle("later", !known);
    for (const id of step.values) $(id).querySelector(".value").classList.toggle("later", !known);
    for (const id of step.gradients) $(id).querySelector(".gradient").classList.toggle("later", !known);
  }
  function show(count, history) {
    const target = Math.min(Math.max(count, 1), last);
    for (let k = at; k < target; k++) bring(data.steps[k], true);
    for (let k = at - 1; k >= target; k--) bring(data.steps[k], false);
    at = target;
    const step = data.steps[at - 1], item = (lists[chosen] ?? lists[0]).children[at - 1];
    const pass = step.backward ? "backward" : "forward";
    for (const element of current) element.classList.remove("current", "new");
    const about = [$(step.node), item, ...byNodeIn("#r-model", [step.node]), ...byNodeIn("#r-module", step.code)];
    const numbers = [...step.values.map((id) => $(id).querySelector(".value")),
      ...step.gradients.map((id) => $(id).querySelector(".gradient"))];
    const boxes = step.made.map((id) => $(id)).filter((box) => box?.closest("svg.blocks"));
    current = [...about, ...numbers, ...boxes].filter(Boolean);
    for (const element of about) element?.classList.add("current");
    for (const element of [...numbers, ...boxes]) element.classList.add("new");
    document.body.classList.toggle("backward", step.backward);
    $("r-pass").className = `pass ${pass}`;
    $("r-pass").textContent = pass;
    $("r-count").textContent = `step ${at} / ${last}`;
    $("r-live").textContent = `step ${at} of ${last}, ${pass}: ${item.dataset.words ?? item.querySelector(".maths").textContent}`;
    for (const old of shown) for (const id of old.dataset.nodes.split(" ")) byNode.set(id, byNode.get(id).filter((e) => e !== old));
    shown = [item.querySelector(".maths").cloneNode(true)];
    if (data.maths.length) {
      shown[0].innerHTML = data.maths[at - 1];
      shown[0].append(...new Set(step.code.flatMap((id) => numbersOf(id))));
    }
    shown.forEach(index);
    $("r-maths").replaceChildren(...shown);
    const [low, high] = range();
    for (const id of ["r-first", "r-back"]) $(id).disabled = at <= low;
    for (const id of ["r-next", "r-last"]) $(id).disabled = at >= high;
    for (const element of about) if (element) reveal(element);
    if (history) remember(history);
  }
  function byNodeIn(pane, ids) { return [...elementsOf(ids)].filter((element) => element.closest(pane)); }
  function reveal(element) {
    const pane = element.closest(".pane");
    if (!pane || (pane.scrollHeight <= pane.clientHeight && pane.scrollWidth <= pane.clientWidth)) return;
    const inner = element.getBoundingClientRect(), outer = pane.getBoundingClientRect();
    if (inner.top < outer.top || inner.bottom > outer.bottom) pane.scrollTop += inner.top - outer.top - outer.height / 3;
    if (inner.left < outer.left || (inner.right > outer.right && inner.width < outer.width))
      pane.scrollLeft += inner.left - outer.left - outer.width / 3;
  }

  // A frame without an address of its own (srcdoc) has no history: the steps work all the same.
  function remember(how) {
    try { history[`${how}State`](null, "", `#step=${at}${chosen ? `&set=${chosen + 1}` : ""}`); } catch { return; }
  }
  function fromAddress() {
    const found = new URLSearchParams(location.hash.slice(1));
    const count = parseInt(found.get("step"), 10) || Math.max(at, 1);
    const set = (parseInt(found.get("set"), 10) || 1) - 1;
    const [low, high] = range();
    if (count < low || count > high) setTab("both");
    if (set !== chosen && set >= 0 && set < data.cases.length) setCase(set);
    show(count);
  }
  function go(count, how = "push") {
    const [low, high] = range();
    const target = Math.min(Math.max(count, low), high);
    if (target && target !== at) show(target, how);
  }
  function setTab(name) {
    tab = name;
    for (const button of document.querySelectorAll(".tab")) button.setAttribute("aria-pressed", button.dataset.tab === name);
    const [low, high] = range();
    show(Math.min(Math.max(at, low), high), "replace");
  }
  function setCase(number) {
    chosen = number;
    $("r-case").value = number;
    lists.forEach((list, k) => { list.hidden = k !== number && lists.length > 1; });
    for (const [id, texts] of Object.entries(data.cases[number].wires)) {
      $(id).querySelector(".value").textContent = texts[0];
      $(id).querySelector(".gradient").textContent = texts[1];
    }
  }
  function play(on = !timer) {
    clearInterval(timer);
    if (on && at >= range()[1]) go(range()[0]);
    timer = on ? setInterval(() => { at < range()[1] ? go(at + 1, "replace") : play(false); }, 1200) : 0;
    $("r-play").textContent = on ? "⏸ pause" : "▶ play";
  }

  function mark(ids) {
    for (const element of marks) element.classList.remove("marked");
    marks = [...elementsOf(ids)];
    for (const element of marks) element.classList.add("marked");
  }
  const idsOf = (element) => element ? element.dataset.nodes.split(" ") : [];
  const under = (event) => event.target.closest?.("[data-nodes]");
  function point(element, x, y) {
    mark(element ? idsOf(element) : pinned);
    const ids = idsOf(element);
    $("r-tip").hidden = !element || !element.closest("svg, pre");
    if ($("r-tip").hidden) return;
    $("r-tip").replaceChildren(...told(element.closest("svg") ? ids.slice(0, 1) : ids.slice(0, 3)));
    const { width, height } = $("r-tip").getBoundingClientRect();
    $("r-tip").style.left = `${Math.max(4, Math.min(x + 14, innerWidth - width - 4))}px`;
    $("r-tip").style.top = `${y + 18 + height > innerHeight ? Math.max(4, y - height - 10) : y + 18}px`;
  }
  function made(tag, text, ...children) {
    const element = document.createElement(tag);
    if (text) element.textContent = text;
    element.append(...children);
    return element;
  }
  function told(ids) {
    return ids.flatMap((id) => {
      const node = data.nodes[id];
      const parts = [made("p", "", made("b", node.label), ` ${node.op}, ${node.shape}`), ...numbersOf(id, node.step)];
      return node.gradient ? [...parts, made("p", "gradient"), ...numbersOf(node.gradient)] : parts;
    });
  }
  function numbersOf(id, step = data.nodes[id].step) {
    const array = data.cases[chosen].arrays[id];
    if (!array) return [];
    if (step === null || step > at) return [made("p", step === null ? "not computed" : `known from step ${step} on`)];
    if (array.numbers) return [made("table", "", ...array.numbers.map((row) => made("tr", "", ...row.map((text) => made("td", text)))))];
    if (!array.summary) return [made("p", `${array.shape}, empty`)];
    const parts = [made("p", array.summary), strip(array.strip.bytes, array.strip.width, 8)];
    if (array.images) parts.push(made("div", "", ...images(array.images)));
    return parts;
  }
  function images({ side, bytes }) {
    const whole = atob(bytes), size = side * side;
    return Array.from({ length: whole.length / size }, (_, k) => strip(whole.slice(k * size, (k + 1) * size), side, Math.ceil(32 / side), true));
  }
  function strip(bytes, width, zoom, decoded = false) {
    const text = decoded ? bytes : atob(bytes), canvas = made("canvas");
    canvas.width = width;
    canvas.height = text.length / width;
    canvas.style.width = `${width * zoom}px`;
    const context = canvas.getContext("2d"), pixels = context.createImageData(canvas.width, canvas.height);
    for (let k = 0; k < text.length; k++) pixels.data.set(colored(text.charCodeAt(k)), 4 * k);
    context.putImageData(pixels, 0, 0);
    return canvas;
  }
  // White is zero; larger is greener, below zero redder, as value and gradient are; NaN is black.
  function colored(byte) {
    if (byte === 255) return [0, 0, 0, 255];
    const share = (byte - 127) / 127, end = share < 0 ? [200, 64, 10] : [0, 77, 65];
    return [...end.map((c) => 255 + (c - 255) * Math.abs(share)), 255];
  }

  function search(next) {
    const wanted = $("r-search").value.trim().toLowerCase();
    const text = (node) => `${node.label} ${node.op} ${node.shape}`.toLowerCase();
    const found = wanted ? Object.keys(data.nodes).filter((id) => text(data.nodes[id]).includes(wanted)) : [];
    $("r-found").textContent = wanted ? `${found.length} found` : "";
    mark(found);
    if (!next || !found.length) return;
    const k = (found.indexOf(pinned[0]) + 1) % found.length;
    pinned = [found[k]];
    mark(pinned);
    $("r-found").textContent = `${k + 1} of ${found.length}`;
    for (const element of marks) reveal(element);
  }

  const keys = {
    ArrowLeft: () => go(at - 1), ArrowRight: () => go(at + 1), Home: () => go(1), End: () => go(last),
    " ": () => play(), "/": () => $("r-search").focus(), Escape: () => { pinned = []; point(null); },
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, select")) return;
    if (event.key === " " && event.target.closest?.("button, a")) return;
    if (!(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  });
  $("r-search").addEventListener("keydown", (event) => {
    if (event.key === "Enter") search(true);
    if (event.key === "Escape") { $("r-search").value = ""; pinned = []; search(); $("r-search").blur(); }
  });
  $("r-search").addEventListener("input", () => search());
  addEventListener("pointerover", (event) => point(under(event), event.clientX, event.clientY));
  document.documentElement.addEventListener("pointerleave", () => point(null));
  addEventListener("focusin", (event) => {
    const box = event.target.getBoundingClientRect();
    if (event.target.matches("[data-nodes]:focus-visible")) point(event.target, box.left, box.bottom);
  });
  addEventListener("focusout", (event) => { if (event.target.matches?.("[data-nodes]")) point(null); });
  addEventListener("click", (event) => {
    const link = event.target.closest("ol.steps a");
    if (link) { event.preventDefault(); setTab("both"); go(parseInt(link.textContent.slice(5), 10)); return; }
    if (event.target.closest("header")) return;
    const ids = idsOf(under(event));
    pinned = ids.join() === pinned.join() ? [] : ids;
    mark(pinned);
  });
  for (const [id, count] of [["r-first", () => 1], ["r-back", () => at - 1], ["r-next", () => at + 1], ["r-last", () => last]])
    $(id).addEventListener("click", () => go(count()));
  $("r-play").addEventListener("click", () => play());
  for (const button of document.querySelectorAll(".tab")) button.addEventListener("click", () => setTab(button.dataset.tab));
  $("r-case").addEventListener("change", (event) => { setCase(Number(event.target.value)); show(at, "replace"); });
  $("r-theme").addEventListener("click", () => {
    const root = document.documentElement, dark = matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = (root.dataset.theme ?? (dark ? "dark" : "light")) === "dark" ? "light" : "dark";
  });
  addEventListener("hashchange", fromAddress);
  setCase(0);
  if (last) fromAddress();
})();
