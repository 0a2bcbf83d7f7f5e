// Counts what is typed, and keeps the place in a preview that is refreshed.
"use strict";

document.querySelectorAll("[data-without-script]").forEach((button) => { button.hidden = true; });

document.querySelectorAll("[data-counts]").forEach((shown) => {
  const field = document.getElementById(shown.dataset.counts);
  const count = () => {
    const n = field.value.length; // UTF-16 units, as the API counts
    shown.textContent = n;
    shown.classList.toggle("counter-off", n > 0 && (n < Number(shown.dataset.least) || n > Number(shown.dataset.most)));
  };
  field.addEventListener("input", count);
  count();
});

const preview = document.getElementById("preview");
const places = new Map();
preview.addEventListener("htmx:beforeSwap", () => {
  preview.querySelectorAll("iframe").forEach((frame) => {
    const page = frame.contentDocument;
    if (page && page.scrollingElement) places.set(frame.title, page.scrollingElement.scrollTop);
  });
});
preview.addEventListener("htmx:afterSwap", () => {
  preview.querySelectorAll("iframe").forEach((frame) => {
    frame.addEventListener("load", () => {
      frame.contentDocument.scrollingElement.scrollTop = places.get(frame.title) || 0;
    }, { once: true });
  });
});
