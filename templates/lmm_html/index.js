// Sorting and filtering for the index and the cross-check page. Without it both are plain, complete tables.
// An item is a row, or in the cross-check page a tbody: data-f holds its place in each filter's list of values,
// data-v a cell's number, data-g the number of its forest scale. What is chosen stands in the address after "#".
(() => {
  "use strict";
  const table = document.querySelector("table.sortable"), form = document.querySelector("form.controls");
  const items = [...table.querySelectorAll("[data-f]")];
  const home = items.length ? items[0].parentNode : table;
  const row = item => item.rows ? item.rows[0] : item;
  const facts = items.map((item, place) => ({
    item, place, facets: item.dataset.f.split(",").map(Number), text: item.textContent.toLowerCase(),
  }));
  const heads = [...table.tHead.rows[0].cells];
  const search = form.elements.q, sorter = form.elements.sort;
  const said = form.querySelector("[role=status]"), nothing = document.querySelector(".nothing");
  const noun = form.dataset.noun, collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

  // every filter: its place in data-f, what is chosen of it, and where its counts stand
  const facets = [...form.querySelectorAll("[data-facet]")].map(element => {
    const boxes = [...element.querySelectorAll("input")];
    const options = boxes.length ? boxes : [...element.options].slice(1);
    return {
      at: Number(element.dataset.facet), name: boxes.length ? boxes[0].name : element.name, options,
      labels: options.map(option => option.value),
      chosen: () => options.flatMap((option, place) => (boxes.length ? option.checked : option.selected) ? [place] : []),
      choose: values => {
        if (!boxes.length) element.value = "";
        options.forEach(option => { option[boxes.length ? "checked" : "selected"] ||= values.includes(option.value); });
        if (boxes.length) options.forEach(option => { option.checked = values.includes(option.value); });
      },
      count: (place, n) => {
        if (boxes.length) boxes[place].parentNode.querySelector(".count").textContent = n;
        else options[place].textContent = `${options[place].value} (${n})`;
      },
    };
  });

  const keys = new Map();
  const keysOf = column => {
    if (!keys.has(column)) {
      const numeric = heads[column].dataset.type === "number";
      keys.set(column, facts.map(({ item }) => {
        const cell = row(item).cells[column] && cellAt(row(item), column);
        if (!cell) return null;
        if (numeric) return cell.dataset.v === undefined ? null : Number(cell.dataset.v);
        return cell.textContent.trim() || null;
      }));
    }
    return keys.get(column);
  };
  const cellAt = (line, column) => {  // some cells span two columns
    let left = column;
    for (const cell of line.cells) {
      if (left < cell.colSpan) return left === 0 ? cell : null;
      left -= cell.colSpan;
    }
    return null;
  };

  let sorted = "";
  const order = choice => {
    if (choice === sorted) return;
    sorted = choice;
    const column = Number(choice.replace("-", "")), down = choice.startsWith("-") ? -1 : 1;
    const list = [...facts];
    if (choice !== "") {
      const key = keysOf(column);
      list.sort((a, b) => {
        const x = key[a.place], y = key[b.place];
        if (x === null || y === null) return (x === null) - (y === null) || a.place - b.place;  // what is missing comes last
        return down * (typeof x === "number" ? x - y : collator.compare(x, y)) || a.place - b.place;
      });
    }
    home.append(...list.map(one => one.item));
    heads.forEach((head, place) => {
      if (head.hasAttribute("aria-sort")) {
        head.setAttribute("aria-sort", choice === "" || place !== column ? "none" : down < 0 ? "descending" : "ascending");
      }
    });
    sequence = list;
  };

  let sequence = facts;
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = facets.map(facet => facet.chosen());
    const counts = facets.map(facet => facet.options.map(() => 0));
    let shown = 0, scale = null;
    for (const one of sequence) {
      const found = words.every(word => one.text.includes(word));
      const misses = facets.map((facet, i) => chosen[i].length > 0 && !chosen[i].includes(one.facets[facet.at]));
      const missed = misses.filter(Boolean).length;
      facets.forEach((facet, i) => {  // what each choice would show, the other filters as they are
        if (found && missed - misses[i] === 0) counts[i][one.facets[facet.at]] += 1;
      });
      const visible = found && missed === 0;
      if (one.item.hidden === visible) one.item.hidden = !visible;
      if (visible) {
        shown += 1;
        const own = one.item.dataset.g;  // the axis is labelled where another scale begins
        if (own !== undefined) {
          one.item.classList.toggle("first", own !== scale && own !== "-1");
          scale = own;
        }
      }
    }
    facets.forEach((facet, i) => counts[i].forEach((n, place) => facet.count(place, n)));
    said.textContent = `${shown} of ${items.length} ${noun} shown`;
    nothing.hidden = shown > 0;
  };

  const state = () => {
    const parts = facets.map(facet => [facet.name, facet.chosen().map(place => facet.labels[place])])
      .filter(([, values]) => values.length).map(([name, values]) => `${name}=${values.map(encodeURIComponent).join(",")}`);
    if (search.value) parts.unshift(`q=${encodeURIComponent(search.value)}`);
    if (sorter.value) parts.push(`sort=${sorter.value}`);
    return parts.join("&");
  };
  const decoded = text => {
    try { return decodeURIComponent(text); } catch { return text; }  // half an escape, typed by hand
  };
  const restore = () => {
    const asked = location.hash.slice(1);
    if (asked && !asked.includes("=")) return;  // the name of a run
    const given = new Map(asked.split("&").map(part => {
      const [name, value = ""] = part.split("=", 2);
      return [name, value.split(",").map(decoded)];
    }));
    search.value = (given.get("q") || [""]).join(",");
    facets.forEach(facet => facet.choose(given.get(facet.name) || []));
    sorter.value = (given.get("sort") || [""])[0];
    if (sorter.selectedIndex < 0) sorter.value = "";
    order(sorter.value);
    filter();
  };
  const update = () => {
    order(sorter.value);
    filter();
    const now = state();
    history.replaceState(null, "", now ? `#${now}` : location.pathname + location.search);
  };

  heads.forEach((head, place) => {
    const button = head.querySelector("button.sort");
    if (!button) return;
    button.disabled = false;
    button.addEventListener("click", () => {  // up, down, the study's order
      sorter.value = sorter.value === `${place}` ? `-${place}` : sorter.value === `-${place}` ? "" : `${place}`;
      update();
    });
  });
  form.addEventListener("submit", event => event.preventDefault());
  form.addEventListener("input", update);
  document.querySelectorAll("button.reset").forEach(button => button.addEventListener("click", () => {
    form.reset();
    update();
    search.focus();
  }));
  addEventListener("hashchange", restore);
  document.querySelectorAll("details.times").forEach(times => times.addEventListener("toggle", () => {
    const frame = times.querySelector("iframe");
    if (times.open && !frame.hasAttribute("src")) frame.src = frame.dataset.src;  // the clock times are a file of their own
  }));
  form.hidden = items.length < 2;
  document.querySelector(".counts").hidden = !form.hidden;
  restore();
  const named = location.hash && !location.hash.includes("=") && document.getElementById(decoded(location.hash.slice(1)));
  if (named) {
    filter();
    named.scrollIntoView();
  }
})();
