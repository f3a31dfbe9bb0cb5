// Folding code and sorting tables. Without it the page is complete: code opens one by one, tables are in their order.
(() => {
  const codes = [...document.querySelectorAll("details.code")], unfold = document.querySelector(".unfold");
  if (unfold && codes.length) {
    const say = () => {
      const open = codes.every(one => one.open);
      unfold.setAttribute("aria-pressed", String(open));
    };
    unfold.hidden = false;
    unfold.addEventListener("click", () => {
      const open = unfold.getAttribute("aria-pressed") !== "true";
      codes.forEach(one => { one.open = open; });
      unfold.setAttribute("aria-pressed", String(open));
    });
    codes.forEach(one => one.addEventListener("toggle", say));
  }

  const contents = document.querySelector(".contents details");
  if (contents && !matchMedia("(min-width: 64rem)").matches) contents.open = false;

  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const keyOf = (row, column, numeric) => {
    const cell = row.cells[column], text = cell.textContent.trim();
    if (!numeric) return text === "" ? null : text;
    const value = Number(cell.dataset.value);
    return cell.dataset.value === undefined || Number.isNaN(value) ? null : value;
  };
  const order = (a, b) => typeof a === "number" ? a - b : collator.compare(a, b);

  for (const table of document.querySelectorAll("table.lmm-table")) {
    const body = table.tBodies[0], heads = table.tHead ? [...table.tHead.rows[0].cells] : [];
    const rows = body ? [...body.rows] : [];
    if (rows.length < 3 || !rows.every(row => row.cells.length === heads.length)) continue;
    heads.forEach((head, column) => {
      if (!head.textContent.trim()) return;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const was = head.getAttribute("aria-sort");
        const now = was === null ? "ascending" : was === "ascending" ? "descending" : null;
        heads.forEach(one => one.removeAttribute("aria-sort"));
        if (now) head.setAttribute("aria-sort", now);
        const numeric = head.classList.contains("lmm-num"), sign = now === "descending" ? -1 : 1;
        const keyed = rows.map((row, place) => ({ row, place, key: now ? keyOf(row, column, numeric) : null }));
        keyed.sort((a, b) => {
          if (a.key === null || b.key === null) return (a.key === null) - (b.key === null) || a.place - b.place;
          return sign * order(a.key, b.key) || a.place - b.place;
        });
        body.append(...keyed.map(one => one.row));
      });
    });
  }
})();
