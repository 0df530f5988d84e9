// Live updates, keys, times. Every page works for reading and acting without this file.
"use strict";

(() => {
  const EVERY = 5000; // ms between two looks; longer while the gateway does not answer
  const LONGEST = 60000;

  // ---------------------------------------------------------------- live updates
  // Elements with data-live and an id are taken anew from the same page while it can be seen. What somebody is
  // doing in one of them (a form half filled, text marked) is left alone.

  let pause = EVERY;
  let timer = 0;
  let lastSeen = new Date();

  const live = () => document.querySelectorAll("[data-live][id]");

  function plan() {
    clearTimeout(timer);
    if (live().length && !document.hidden) timer = setTimeout(look, pause);
  }

  async function look() {
    try {
      // A look that nobody asked for does not count as use of the session: see the header on the server's side.
      const answer = await fetch(location.href, { headers: { "X-Live": "1" }, redirect: "manual", cache: "no-store" });
      if (answer.type === "opaqueredirect") return signedOut();
      if (!answer.ok) throw new Error(String(answer.status));
      const found = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const old of live()) {
        const fresh = found.getElementById(old.id);
        if (fresh && !isBusy(old)) swap(old, document.importNode(fresh, true));
      }
      lastSeen = new Date();
      pause = EVERY;
      tell("");
      times();
    } catch {
      pause = Math.min(2 * pause, LONGEST);
      tell(`Not up to date since ${lastSeen.toLocaleTimeString()}: the gateway does not answer.`);
    }
    plan();
  }

  function isBusy(element) {
    const chosen = getSelection();
    if (chosen && !chosen.isCollapsed && element.contains(chosen.anchorNode)) return true;
    if (element.contains(document.activeElement) && document.activeElement.matches("input, select, textarea")) return true;
    return [...element.querySelectorAll("input, select, textarea")].some(isChanged);
  }

  function isChanged(field) {
    if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
    if (field.tagName === "SELECT") return [...field.options].some((each) => each.selected !== each.defaultSelected) && field.selectedIndex > 0;
    return field.type !== "hidden" && field.value !== field.defaultValue;
  }

  function swap(old, fresh) {
    const focus = placeOf(old, document.activeElement);
    const open = opened(old);
    open.forEach((place) => { const found = at(fresh, "details", place); if (found) found.open = true; });
    if (old.isEqualNode(fresh) || same(old, fresh)) return;
    const { scrollLeft, scrollTop } = old;
    old.replaceWith(fresh);
    fresh.scrollLeft = scrollLeft;
    fresh.scrollTop = scrollTop;
    fresh.classList.add("fresh");
    if (focus) {
      const found = at(fresh, "a[href], button, summary, [tabindex]", focus);
      if (found) found.focus({ preventScroll: true });
    }
  }

  // What this file itself put on an element is no difference.
  function same(old, fresh) {
    const copy = old.cloneNode(true);
    copy.classList.remove("fresh");
    if (!copy.getAttribute("class")) copy.removeAttribute("class");
    copy.querySelectorAll("time[data-was]").forEach((each) => {
      each.setAttribute("title", each.dataset.was);
      each.removeAttribute("data-was");
    });
    return copy.isEqualNode(fresh);
  }

  // A place within an element that is found again in its successor: an id, or what it says and which of those it is.
  const nameOf = (each) => each.id || each.getAttribute("href") || each.getAttribute("formaction") || (each.querySelector(":scope > summary") || each).textContent.trim();

  function placeOf(element, inside, kinds = "a[href], button, summary, [tabindex]") {
    if (!inside || inside === element || !element.contains(inside)) return null;
    const alike = [...element.querySelectorAll(kinds)].filter((each) => nameOf(each) === nameOf(inside));
    return { name: nameOf(inside), nth: alike.indexOf(inside) };
  }

  function at(element, kinds, place) {
    return [...element.querySelectorAll(kinds)].filter((each) => nameOf(each) === place.name)[place.nth] || null;
  }

  const opened = (element) => [...element.querySelectorAll("details[open]")].map((each) => placeOf(element, each, "details"));

  function signedOut() {
    const halfFilled = [...document.querySelectorAll("main input, main select, main textarea")].some(isChanged);
    if (halfFilled) tell("Your session has ended. What you typed is still here; to send it, sign in in another tab first.");
    else location.reload();
  }

  function tell(sentence) {
    let note = document.getElementById("live-note");
    if (!note && sentence) {
      note = document.createElement("p");
      note.id = "live-note";
      note.className = "note";
      note.setAttribute("role", "status");
      (document.querySelector("main") || document.body).append(note);
    }
    if (note) {
      note.hidden = !sentence;
      if (note.textContent !== sentence) note.textContent = sentence;
    }
  }

  // ---------------------------------------------------------------- times
  // The page shows the server's zone; the hint says how long ago that is, and what the clock here said.

  const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

  function ago(moment) {
    const seconds = (moment - Date.now()) / 1000;
    const [unit, size] = UNITS.find(([, each]) => Math.abs(seconds) >= each) || UNITS[3];
    return words.format(Math.trunc(seconds / size), unit);
  }

  function times() {
    document.querySelectorAll("time[datetime]").forEach((each) => {
      const moment = new Date(each.dateTime);
      if (Number.isNaN(moment.valueOf())) return;
      if (each.dataset.was === undefined) each.dataset.was = each.title;
      each.title = `${ago(moment)} · here ${moment.toLocaleString()} · ${each.dataset.was}`;
    });
  }

  // ---------------------------------------------------------------- keys

  const OFF = "console-keys-off"; // kept in the browser: single keys disturb who speaks to their machine
  let waiting = 0; // for the letter after g

  function keysAreOff() {
    try { return localStorage.getItem(OFF) === "1"; } catch { return false; }
  }

  function pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
    if (event.target.closest("input, select, textarea, [contenteditable], dialog")) return;
    if (event.key === "?") return take(event, help);
    if (keysAreOff()) return;
    if (waiting) {
      clearTimeout(waiting);
      waiting = 0;
      const link = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
      if (link) return take(event, () => link.click());
    }
    if (event.key === "g") waiting = setTimeout(() => { waiting = 0; }, 1500);
    else if (event.key === "/") find(event);
    else if (event.key === "j") take(event, () => step(1));
    else if (event.key === "k") take(event, () => step(-1));
    else if (event.key === "Enter") enter(event);
  }

  function take(event, act) {
    event.preventDefault();
    act();
  }

  function find(event) {
    const field = document.querySelector("[data-search], input[type=search], form.search input:not([type=hidden]), form[role=search] input:not([type=hidden])");
    if (field) take(event, () => { field.focus(); field.select(); });
  }

  const rows = () => [...document.querySelectorAll("table[data-rows] tbody tr")].filter((each) => each.querySelector("a[href]"));
  const here = () => document.activeElement && document.activeElement.closest("table[data-rows] tbody tr");

  // A step moves the focus to the row's first link, so that screen readers follow and Enter opens it by itself.
  function step(by) {
    const all = rows();
    if (!all.length) return;
    const now = all.indexOf(here());
    const next = now < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(now + by, 0), all.length - 1);
    const link = all[next].querySelector("a[href]");
    link.focus();
    all[next].scrollIntoView({ block: "nearest" });
  }

  function enter(event) {
    const row = here();
    if (!row || event.target.closest("a, button, summary")) return;
    const link = row.querySelector("a[href]");
    if (link) take(event, () => link.click());
  }

  function help() {
    let box = document.getElementById("keys-of-the-console");
    if (!box) {
      box = document.createElement("dialog");
      box.id = "keys-of-the-console";
      box.setAttribute("aria-labelledby", "keys-of-the-console-title");
      const pages = [...document.querySelectorAll("[data-key]")].map((each) => [`g ${each.dataset.key}`, each.textContent.trim()]);
      const list = [...pages, ["/", "search"], ["j", "next row"], ["k", "row before"], ["Enter", "open the row"], ["?", "these keys"]];
      const title = document.createElement("h2");
      title.id = "keys-of-the-console-title";
      title.textContent = "Keys";
      const table = document.createElement("dl");
      table.className = "facts";
      for (const [key, meaning] of list) {
        const term = document.createElement("dt");
        const letters = document.createElement("kbd");
        letters.textContent = key;
        term.append(letters);
        const said = document.createElement("dd");
        said.textContent = meaning;
        table.append(term, said);
      }
      box.append(title, table, offSwitch(), closing(box));
      document.body.append(box);
    }
    box.showModal();
  }

  function offSwitch() {
    const label = document.createElement("label");
    label.className = "tick";
    const field = document.createElement("input");
    field.type = "checkbox";
    field.checked = keysAreOff();
    field.addEventListener("change", () => {
      try { localStorage.setItem(OFF, field.checked ? "1" : "0"); } catch { /* it holds for this page only */ }
    });
    label.append(field, " Only ? does something; the other keys are off");
    return label;
  }

  function closing(box) {
    const line = document.createElement("p");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "second";
    button.textContent = "Close";
    button.addEventListener("click", () => box.close());
    line.append(button);
    return line;
  }

  // ---------------------------------------------------------------- forms
  // A second click does not send a second time.

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    setTimeout(() => { delete form.dataset.sent; }, 15000);
  });
  addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((each) => { delete each.dataset.sent; }));

  document.addEventListener("keydown", pressed);
  document.addEventListener("visibilitychange", () => { if (document.hidden) clearTimeout(timer); else { pause = EVERY; if (live().length) { clearTimeout(timer); look(); } } });
  setInterval(times, 30000);
  times();
  plan();
})();
