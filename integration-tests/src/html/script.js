(() => {
  "use strict";
  const all = (query, root = document) => [...root.querySelectorAll(query)];
  const rows = all(".row");
  const detail = (row) => row.nextElementSibling;

  const open = (row, show) => {
    row.classList.toggle("open", show);
    detail(row).hidden = row.hidden || !show;
  };

  // A row is hidden while a row above it, nearer to the root, is folded.
  const refold = () => {
    for (const trace of all(".rows")) {
      let limit = Infinity;
      for (const row of all(".row", trace)) {
        const depth = Number(row.dataset.depth);
        if (depth <= limit) limit = row.classList.contains("folded") ? depth : Infinity;
        row.hidden = depth > limit;
        detail(row).hidden = row.hidden || !row.classList.contains("open");
      }
    }
    draw();
  };

  const draw = () => {
    const wanted = document.getElementById("links").checked;
    for (const trace of all(".rows")) {
      const svg = trace.querySelector("svg.links");
      svg.replaceChildren();
      if (!wanted || !trace.offsetParent) continue;
      const origin = trace.getBoundingClientRect();
      const make = (name, attributes) => {
        const element = document.createElementNS("http://www.w3.org/2000/svg", name);
        for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
        svg.append(element);
      };
      for (const row of all(".row", trace)) {
        if (row.hidden || !row.dataset.links) continue;
        for (const id of new Set(row.dataset.links.split(" "))) {
          const target = document.getElementById(id);
          if (!target || target.hidden || target.closest(".rows") !== trace) continue;
          const from = target.querySelector(".bar").getBoundingClientRect();
          const to = row.querySelector(".bar").getBoundingClientRect();
          const down = to.top > from.top;
          const x1 = from.left + Math.min(from.width, 6) / 2 - origin.left;
          const y1 = (down ? from.bottom : from.top) - origin.top;
          const x2 = to.left - origin.left;
          const y2 = (to.top + to.bottom) / 2 - origin.top;
          const bend = Math.min(40, Math.abs(y2 - y1) / 2 + 8);
          make("path", { d: `M${x1} ${y1} C${x1} ${y1 + (down ? bend : -bend)} ${x2 - bend} ${y2} ${x2} ${y2}` });
          make("circle", { cx: x1, cy: y1, r: 2.5 });
          make("circle", { cx: x2, cy: y2, r: 3.5 });
        }
      }
    }
  };

  document.addEventListener("click", (event) => {
    const row = event.target.closest(".row");
    if (!row) return;
    if (event.target.closest(".fold")) {
      row.classList.toggle("folded");
      refold();
    } else {
      open(row, !row.classList.contains("open"));
      draw();
    }
  });

  document.addEventListener("keydown", (event) => {
    const row = event.target.closest?.(".row");
    if (!row || event.target !== row) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      open(row, !row.classList.contains("open"));
      draw();
    } else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      row.classList.toggle("folded", event.key === "ArrowLeft");
      refold();
    } else if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      event.preventDefault();
      const seen = rows.filter((other) => !other.hidden);
      seen[seen.indexOf(row) + (event.key === "ArrowDown" ? 1 : -1)]?.focus();
    }
  });

  document.getElementById("filter").addEventListener("input", (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const text = (row.textContent + detail(row).textContent).toLowerCase();
      row.classList.toggle("dim", !words.every((word) => text.includes(word)));
    }
  });

  document.getElementById("fold").addEventListener("click", (event) => {
    const folding = event.target.textContent === "Fold all";
    for (const row of rows) row.classList.toggle("folded", folding && row.querySelector(".fold") !== null);
    event.target.textContent = folding ? "Unfold all" : "Fold all";
    refold();
  });

  // A link leads to its span even where that is folded away or in a closed trace.
  const reveal = () => {
    const row = location.hash.startsWith("#s-") && document.getElementById(location.hash.slice(1));
    if (!row) return;
    row.closest("details").open = true;
    if (row.hidden) {
      for (const other of all(".row", row.parentElement)) other.classList.remove("folded");
      refold();
    }
    open(row, true);
    row.scrollIntoView({ block: "center" });
    draw();
  };

  document.getElementById("links").addEventListener("change", draw);
  for (const trace of all("details.trace")) trace.addEventListener("toggle", draw);
  window.addEventListener("resize", draw);
  window.addEventListener("hashchange", reveal);
  draw();
  reveal();
})();
