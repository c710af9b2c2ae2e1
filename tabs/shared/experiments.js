// Experiments in the browser: links, what a reload brings back, and the guided first experiment.
// The controls of a page stay in this browser tab's sessionStorage; that a visitor has seen the guided
// experiment, in localStorage. A link is made and read here, and its values are checked by the server.
window.genlab.experiments = (() => {
  const STORED = "genlab.page.";
  const SEEN = "genlab.tour";
  const filled = {}; // tab -> its texts when they were last not empty
  const sent = {}; // tab -> its texts at the last run, which may have emptied them
  const waiting = {}; // elem_id prefix of a tab -> {values, link} that its hidden button will send

  const session = (call) => { try { return call(sessionStorage); } catch { return null; } };
  const local = (call) => { try { return call(localStorage); } catch { return null; } };
  const written = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  // What this browser tab had in its controls before it was loaded again, by tab: read before the page's
  // first changes are stored over it.
  const before = {};
  session((storage) => Object.keys(storage).filter((key) => key.startsWith(STORED)).forEach((key) => {
    try { before[key.slice(STORED.length)] = JSON.parse(storage.getItem(key)) || {}; } catch { /* not ours */ }
  }));
  // The values that differ from a fresh page's, as text
  const different = (names, defaults, values) => Object.fromEntries(names
    .map((name, at) => [name, values[at]])
    .filter(([name, value]) => value !== null && value !== undefined &&
      JSON.stringify(value) !== JSON.stringify(defaults[name] ?? null) && !(value === "" && !defaults[name]))
    .map(([name, value]) => [name, written(value)]));

  // ---------------------------------------------------------------- links

  const address = (tab, values) => {
    const query = new URLSearchParams(values).toString().replaceAll("+", "%20");
    return `${location.origin}${location.pathname}?lang=${window.genlab.language()}#${tab}${query && "?"}${query}`;
  };
  // -> [note]
  const copy = ([tab, names, defaults], words, most, values) => {
    const last = sent[tab] || {};
    const link = different(names, defaults, values.map((value, at) => value || value === 0 || value === false ? value : last[names[at]] ?? value));
    const left = [];
    while (address(tab, link).length > most) {
      const longest = Object.keys(link).sort((a, b) => link[b].length - link[a].length)[0];
      delete link[longest];
      left.push(longest);
    }
    const text = address(tab, link);
    const box = document.createElement("input");
    Object.assign(box, { value: text, readOnly: true, className: "link-text" });
    box.setAttribute("value", text);
    box.setAttribute("aria-label", text);
    // Without https a page may not write to the clipboard: then the old way.
    const old = () => { document.body.append(box); box.select(); document.execCommand("copy"); box.remove(); };
    navigator.clipboard ? navigator.clipboard.writeText(text).catch(old) : old();
    return [`<p role="status">${words.copied}${left.length ? " " + words.left_out : ""}</p>${box.outerHTML}`];
  };

  // ---------------------------------------------------------------- controls set from outside

  const press = (id, content) => {
    waiting[id] = content;
    const button = document.getElementById(`${id}-open`);
    if (button) button.click();
    return Boolean(button);
  };
  const byLink = new Set(); // elem_id prefixes of the tabs that a link is setting
  const payload = (id) => {
    const content = waiting[id] || { values: {}, link: false };
    delete waiting[id];
    if (content.link) byLink.add(id);
    return [JSON.stringify(content)];
  };
  const open = (tab, values) => press(tab.replaceAll(".", "-"), { values, link: true });
  const store = ([tab, names, defaults], values) => {
    const texts = names.map((name, at) => [name, values[at]]).filter(([, value]) => typeof value === "string" && value);
    filled[tab] = { ...filled[tab], ...Object.fromEntries(texts) };
    session((storage) => storage.setItem(STORED + tab, JSON.stringify(different(names, defaults, values))));
    return [];
  };
  // After a reload: all of that, but for the tab that a link sets.
  const restore = (but) => {
    for (const [tab, values] of Object.entries(before)) {
      if (tab !== but && Object.keys(values).length) press(tab.replaceAll(".", "-"), { values, link: false });
    }
  };
  // Another part of the page has more to bring back into a control: `change` makes its text of the one before.
  const bringBack = (tab, name, change) => {
    before[tab] = { ...before[tab], [name]: change(before[tab]?.[name] || "") };
  };

  // ---------------------------------------------------------------- a run, and the guided one

  const visibleTour = () => [...document.querySelectorAll(".tour")].find((tour) => tour.offsetParent || tour.dataset.step > 0);
  const unmark = () => document.querySelectorAll(".look-here").forEach((part) => part.classList.remove("look-here"));
  const leave = () => {
    document.documentElement.classList.remove("first-visit");
    document.querySelectorAll(".tour").forEach((tour) => { tour.dataset.step = 0; });
    unmark();
    local((storage) => storage.setItem(SEEN, "seen"));
  };
  const show = (tour, step) => {
    tour.dataset.step = step;
    unmark();
    const part = step === 2 && document.getElementById(tour.dataset.look);
    if (part) {
      part.classList.add("look-here");
      part.scrollIntoView({ block: "center" });
    }
    tour.querySelector(`[data-for="${step}"].go, [data-for="${step}"][data-tour]`)?.focus({ preventScroll: true });
  };
  document.addEventListener("click", (event) => {
    const call = event.target.closest?.("[data-tour]")?.dataset.tour;
    const tour = event.target.closest?.(".tour");
    if (!call || !tour) return;
    if (call === "begin") { show(tour, 1); document.getElementById(tour.dataset.first).click(); }
    if (call === "next") show(tour, 3);
    if (call === "leave") leave();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && document.querySelector('.tour:not([data-step="0"])')) leave();
  });
  if (!local((storage) => storage.getItem(SEEN))) document.documentElement.classList.add("first-visit");

  // The sentence that says what to see stands below the question; where the page goes to the answer, a copy
  // of it goes along, until the next run.
  const forget = () => document.querySelectorAll(".look-note").forEach((copy) => copy.remove());
  const bring = (id, part) => {
    forget();
    const words = document.getElementById(`${id}-try-note`);
    const { top, bottom } = words?.getBoundingClientRect() || {};
    if (!words?.textContent.trim() || (top >= 0 && bottom <= innerHeight)) return;
    const copy = Object.assign(document.createElement("div"), { className: "note look-note" });
    copy.innerHTML = [...words.querySelectorAll("p")].map((line) => line.outerHTML).join("");
    part.before(copy);
    if (innerWidth < 800 || copy.getBoundingClientRect().top < 0) copy.scrollIntoView({ block: "start" });
  };
  // What a link has set, and what of it could not be, stands on top of the tab: "Try this" is below the inputs.
  const linkNote = (id) => {
    const panel = document.getElementById(`${id}-try`)?.closest("[role=tabpanel]");
    if (byLink.delete(id) && panel) setTimeout(() => bring(id, panel.firstElementChild), 150);
    return [];
  };
  addEventListener("click", (event) => {
    if (event.isTrusted && event.target.closest?.("button[id$=-start]")) forget();
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches?.("textarea, input")) forget();
  });

  // Where the answer is out of sight - on a phone it is far below the question - go there once there is
  // something. A visitor who scrolls meanwhile stays where they are.
  const lookAt = async (look, id) => {
    forget();
    if (!look) return;
    const place = scrollY;
    for (const end = Date.now() + 60_000; Date.now() < end;) {
      await new Promise((wait) => setTimeout(wait, 300));
      const part = document.getElementById(look);
      if (!(part?.offsetHeight > 20)) continue;
      if (innerWidth < 800) {
        part.scrollIntoView({ block: "start" });
        return bring(id, part);
      }
      const { top, bottom, height } = part.getBoundingClientRect();
      const sight = Math.min(bottom, innerHeight) - Math.max(top, 0);
      if (sight < Math.min(height, innerHeight) / 2 && Math.abs(scrollY - place) < 40) {
        part.scrollIntoView({ block: height > innerHeight ? "start" : "center" });
        bring(id, part);
      }
      return;
    }
  };
  // What an example or an experiment begins takes the place of a run that is on its way: that one is
  // stopped, by its own stop button. A press of the start button by hand changes nothing meanwhile.
  const underWay = new Map(); // elem_id of a start button -> that of its stop button
  const due = new Map(); // elem_id of a start button to press -> what is to end before: the run, the stop's own work
  const click = (id) => document.getElementById(id)?.click();
  const begin = (start) => {
    if (due.has(start)) return;
    if (!underWay.has(start)) return click(start);
    due.set(start, new Set(["run", "stop"]));
    click(underWay.get(start));
  };
  const pressAfter = (part, start) => {
    // Gradio forgets a stopped run when the server has answered twice; a new one must not be forgotten with it.
    if (due.get(start)?.delete(part) && !due.get(start).size) setTimeout(() => due.delete(start) && click(start), 300);
    return [];
  };
  const isDue = (start) => due.has(start);
  const atBegin = (start, stop) => (underWay.set(start, stop), []);
  const atEnd = (start) => (underWay.delete(start), pressAfter("run", start));
  const atStop = (start) => pressAfter("stop", start);
  addEventListener("click", (event) => {
    if (event.isTrusted && event.target.closest?.(".stop-button")) due.clear();
  }, true);

  const run = (start, look, id) => {
    setTimeout(() => begin(start), 50);
    lookAt(look, id);
    return [];
  };
  const done = (id, tab) => {
    sent[tab] = { ...filled[tab] };
    const tour = document.querySelector(`#${id}-try .tour[data-step="1"]`);
    if (tour) show(tour, 2);
    return [];
  };

  return {
    copy, open, payload, linkNote, store, restore, bringBack, begin, atBegin, atEnd, atStop, isDue, run, done, leave,
    visibleTour,
  };
})();
