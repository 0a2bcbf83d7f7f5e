// Counts what is typed, keeps the place in a preview that is refreshed, and asks before a draft is lost.
"use strict";

// A draft is nowhere but on this page: whoever leaves it by anything but its own buttons is asked. It is
// not kept in the browser, which others may use, too.
const drafts = [...document.querySelectorAll("form[data-draft]")];
let isBegun = false;
const begin = () => { isBegun = drafts.some((form) => form.dataset.draft === "begun"); };
begin();
drafts.forEach((form) => {
  form.addEventListener("input", () => { form.dataset.draft = "begun"; begin(); });
  form.addEventListener("submit", () => { isBegun = false; });
});
window.addEventListener("pageshow", begin);
window.addEventListener("beforeunload", (event) => {
  if (!isBegun) return;
  event.preventDefault();
  event.returnValue = true; // as older browsers want it
});

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
