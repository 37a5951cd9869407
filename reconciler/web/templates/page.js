// Keeps the page fresh without moving it under the reader's eyes. Without it, the page reloads itself.
"use strict";

const BUSY = 2000, CALM = 10000;
const lost = document.getElementById("lost");
const parts = (root) => [...root.querySelectorAll("[data-live]")];
const names = (root) => parts(root).map((part) => part.id).join();

function keyOf(element) {
  return element.id ? `#${CSS.escape(element.id)}` : element.getAttribute("href") ? `a[href="${CSS.escape(element.getAttribute("href"))}"]` : null;
}

function replace(old, fresh) {
  const selection = document.getSelection();
  if (selection && !selection.isCollapsed && old.contains(selection.anchorNode)) return;
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const box = focused && focused.classList.contains("scroll") ? [...old.querySelectorAll(".scroll")].indexOf(focused) : -1;
  const places = [...old.querySelectorAll(".scroll")].map((item) => [item.scrollLeft, item.scrollTop, item.scrollTop + item.clientHeight >= item.scrollHeight - 4]);
  const made = document.importNode(fresh, true);
  old.replaceWith(made);
  made.querySelectorAll(".scroll").forEach((item, index) => {
    const [left, top, atEnd] = places[index] || [0, 0, false];
    item.scrollTo(left, atEnd && item.classList.contains("log") ? item.scrollHeight : top);
  });
  const again = box >= 0 ? made.querySelectorAll(".scroll")[box] : focused && keyOf(focused) ? made.querySelector(keyOf(focused)) : null;
  if (again) again.focus({ preventScroll: true });
}

async function look() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
  if (answer.status === 401) return location.reload();
  if (answer.status === 404) return; // a run that is no longer remembered: what stands here stays
  if (!answer.ok) throw new Error(answer.statusText);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.title = fresh.title;
  if (names(document) !== names(fresh)) return replace(document.getElementById("main"), fresh.getElementById("main"));
  for (const part of parts(fresh)) {
    const old = document.getElementById(part.id);
    if (old.outerHTML !== part.outerHTML) replace(old, part);
  }
}

async function turn() {
  if (!document.hidden) {
    try {
      await look();
      lost.hidden = true;
    } catch {
      lost.hidden = false;
    }
  }
  setTimeout(turn, document.querySelector(".moving") ? BUSY : CALM);
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) look().catch(() => { lost.hidden = false; }); });
setTimeout(turn, BUSY);
