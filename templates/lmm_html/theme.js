// Light, dark or as the system has it. What is chosen is kept in this browser under one name; nothing else is kept.
(() => {
  const root = document.documentElement, form = document.querySelector(".switches"), name = "lmmtools-theme";
  if (!form) return;
  let store = null;
  try { store = window.localStorage; } catch { /* a browser may forbid it to pages opened from a file */ }
  const show = theme => { if (theme) root.dataset.theme = theme; else delete root.dataset.theme; };
  const kept = store && store.getItem(name);
  for (const input of form.querySelectorAll("input[name=theme]")) {
    input.checked = input.value === (["light", "dark"].includes(kept) ? kept : "");
    if (input.checked) show(input.value);
    input.addEventListener("change", () => {
      show(input.value);
      if (store) store.setItem(name, input.value);
    });
  }
  form.addEventListener("submit", event => event.preventDefault());
  form.hidden = false;
})();
