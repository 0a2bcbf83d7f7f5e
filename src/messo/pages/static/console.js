// What the console gains where JavaScript runs. Everything works without it.
"use strict";

// Keys on lists. They can be switched off, since some people speak to their computers (WCAG 2.1.4).
const OFF = "messo-console-keys-off";
const list = document.querySelector("[data-list]");
const areOff = () => { try { return localStorage.getItem(OFF) === "1"; } catch { return false; } };

function typing(target) {
  return target.closest("input, textarea, select, [contenteditable]") !== null;
}

function move(step) {
  const links = [...list.querySelectorAll("tbody tr")].map((row) => row.querySelector("a, button, summary")).filter(Boolean);
  if (!links.length) return;
  const row = document.activeElement.closest("[data-list] tbody tr");
  const at = row ? links.findIndex((link) => row.contains(link)) : -1;
  const next = at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + step));
  links[next].focus();
  links[next].scrollIntoView({ block: "nearest" });
}

// Where the focus was before the keys were asked for: Escape closes them and goes back there.
let before = null;

function press(selector) {
  const found = document.querySelector(selector);
  if (found) found.click();
}

const ACTIONS = {
  j: () => move(1),
  k: () => move(-1),
  n: () => press("main a[rel=next]"),
  p: () => press("main a[rel=first]"),
  "/": () => { const field = document.querySelector("[data-search] input:not([type=hidden])"); if (field) field.focus(); },
  "?": () => {
    const help = document.querySelector(".keys-help");
    if (!help) return;
    if (!help.contains(document.activeElement)) before = document.activeElement;
    help.open = true;
    help.querySelector("summary").focus();
  },
};

if (list) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || areOff() || typing(event.target)) return;
    const action = ACTIONS[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  const help = document.querySelector(".keys-help");
  const box = document.getElementById("keys-on");
  if (help) {
    help.hidden = false;
    help.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      help.open = false;
      if (before && before.isConnected) before.focus();
      before = null;
    });
  }
  if (box) {
    box.checked = !areOff();
    box.addEventListener("change", () => { try { localStorage.setItem(OFF, box.checked ? "0" : "1"); } catch { /* not kept */ } });
  }
}

// Choosing in a list that narrows needs no button.
document.querySelectorAll("select[data-submits]").forEach((select) => {
  select.addEventListener("change", () => select.form.requestSubmit());
});

// What cannot be undone is asked once more.
document.querySelectorAll("[data-confirm]").forEach((form) => {
  form.addEventListener("submit", (event) => { if (!window.confirm(form.dataset.confirm)) event.preventDefault(); });
});

// What takes long says so, and is not asked for twice.
document.querySelectorAll("form[data-under-way]").forEach((form) => {
  const shown = (on) => {
    form.querySelectorAll(".under-way").forEach((text) => { text.hidden = !on; });
    form.querySelectorAll("button").forEach((button) => { button.disabled = on; });
  };
  form.addEventListener("submit", () => setTimeout(() => shown(true)));
  window.addEventListener("pageshow", () => shown(false));
});
