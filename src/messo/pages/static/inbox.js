// What pages gain where JavaScript runs. Everything works without it.
"use strict";

// Select all on this page.
const all = document.getElementById("all");
if (all) {
  all.closest("label").hidden = false;
  const boxes = () => document.querySelectorAll("#lines input[name=id]");
  all.addEventListener("change", () => boxes().forEach((box) => { box.checked = all.checked; }));
  document.getElementById("lines").addEventListener("change", () => {
    const list = [...boxes()];
    all.checked = list.length > 0 && list.every((box) => box.checked);
    all.indeterminate = !all.checked && list.some((box) => box.checked);
  });
}

// Print.
document.querySelectorAll("[data-print]").forEach((button) => {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
});

// Copy a number.
document.querySelectorAll("[data-copy]").forEach((button) => {
  if (!navigator.clipboard) return;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.querySelector("span").textContent = button.dataset.copied;
  });
});

// A form that is answered once: pressed again while the answer is on its way, the answer would be lost.
document.querySelectorAll("form[data-once]").forEach((form) => {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => { delete form.dataset.sent; });
});

// A menu closes when the focus leaves it, on Escape, and when something else is clicked.
document.querySelectorAll("details.account").forEach((menu) => {
  const close = (event) => { if (!menu.contains(event.relatedTarget || event.target)) menu.open = false; };
  menu.addEventListener("focusout", (event) => { if (event.relatedTarget) close(event); });
  document.addEventListener("click", close);
  menu.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && menu.open) { menu.open = false; menu.querySelector("summary").focus(); }
  });
});

// A choice in a list that narrows is made by choosing; its button is for those without JavaScript.
document.querySelectorAll("form.by-sender").forEach((form) => {
  form.querySelector("button").hidden = true;
  form.querySelector("select").addEventListener("change", () => form.requestSubmit());
});

// When the first message comes into an empty inbox, the page has more to show than a line.
document.addEventListener("htmx:afterSwap", () => {
  if (document.querySelector(".empty") && document.querySelector("#lines .line")) window.location.reload();
});
