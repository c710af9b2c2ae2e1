// What Gradio's own components leave open, mended in the browser: see gradio_patches.py.
(() => {
  const words = window.genlab.gradioWords; // Gradio's English -> Korean, "{label}" stands for anything
  const exact = new Map(Object.entries(words).filter(([english]) => !english.includes("{label}")));
  const patterns = Object.entries(words).filter(([english]) => english.includes("{label}")).map(([english, korean]) => {
    const [before, after] = english.split("{label}");
    return { before, after, korean };
  });
  const korean = (text) => {
    if (exact.has(text)) return exact.get(text);
    const found = patterns.find(({ before, after }) => text.startsWith(before) && text.endsWith(after));
    return found && found.korean.replace("{label}", text.slice(found.before.length, text.length - found.after.length));
  };

  // Names of buttons and fields that Gradio has in English only
  const name = () => {
    const lang = window.genlab.language();
    for (const element of document.querySelectorAll("[aria-label], [title]")) {
      for (const attribute of ["aria-label", "title"]) {
        const text = element.getAttribute(attribute);
        if (!text) continue;
        const before = element.genlabEnglish?.[attribute];
        if (lang === "ko") {
          const other = korean(text);
          if (other && other !== text) {
            element.genlabEnglish = { ...element.genlabEnglish, [attribute]: text };
            element.setAttribute(attribute, other);
          }
        } else if (before && text === korean(before)) element.setAttribute(attribute, before);
      }
    }
    // and our own, which HTML of the server has in both
    for (const element of document.querySelectorAll(`[data-name-${lang}]`)) {
      const text = element.getAttribute(`data-name-${lang}`);
      for (const attribute of ["aria-label", "title"]) {
        if (element.getAttribute(attribute) !== text) element.setAttribute(attribute, text);
      }
    }
  };

  // What to do while the server is gone, instead of Gradio's "Attempting reconnection..."
  const connection = () => {
    for (const box of document.querySelectorAll("[data-testid=toast-text]")) {
      if (!box.textContent.includes("Connection to the server was lost.")) continue;
      box.textContent = window.genlab.connectionLost[window.genlab.language()];
    }
  };

  // A row of tabs is one stop of the Tab key; the arrows go from tab to tab.
  const tabStops = () => {
    for (const tab of document.querySelectorAll("[role=tablist] > [role=tab]")) {
      const stop = tab.getAttribute("aria-selected") === "true" ? "0" : "-1";
      if (tab.getAttribute("tabindex") !== stop) tab.setAttribute("tabindex", stop);
    }
  };
  document.addEventListener("keydown", (event) => {
    const tab = event.target.closest?.("[role=tablist] > [role=tab]");
    if (!tab) return;
    const all = [...tab.parentElement.querySelectorAll("[role=tab]:not([disabled])")];
    const at = all.indexOf(tab);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[event.key];
    const next = to === undefined ? null : all[(to + all.length) % all.length];
    if (!next) return;
    event.preventDefault();
    next.click();
    next.focus();
  });

  // The examples of the page's language come first, for the Tab key too.
  const sortExamples = () => {
    const [own, other] = window.genlab.language() === "ko" ? ["ko", "en"] : ["en", "ko"];
    for (const box of document.querySelectorAll(".examples")) {
      const [first, second] = [own, other].map((lang) => box.querySelector(`.examples-${lang}`));
      if (!first || !second || !(first.compareDocumentPosition(second) & Node.DOCUMENT_POSITION_PRECEDING)) continue;
      const part = (one) => { while (one.parentElement !== box) one = one.parentElement; return one; };
      box.insertBefore(part(first), part(second));
    }
  };

  // Gradio's text boxes tell of an input at a key press only: also tell of what is pasted, cut, dropped, deleted
  // or composed.
  let pressed = false;
  addEventListener("keypress", () => { pressed = true; setTimeout(() => { pressed = false; }); }, true);
  addEventListener("input", ({ target }) => {
    if (!pressed && target.dataset?.testid === "textbox") target.dispatchEvent(new KeyboardEvent("keypress"));
  });

  let due = false;
  const mend = () => { due = false; name(); connection(); tabStops(); };
  new MutationObserver(() => {
    sortExamples(); // at once: what moves later moves from under a finger
    if (due) return;
    due = true;
    setTimeout(mend, 150);
  }).observe(document.documentElement, {
    childList: true, subtree: true, attributes: true, attributeFilter: ["lang", "aria-selected", "aria-label"],
  });

  // ---------------------------------------------------------------- the way to the input and to the result

  const panel = () => [...document.querySelectorAll("#tabs > [role=tabpanel], #tabs [role=tabpanel]")].find((part) => part.offsetParent);
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("#skip")) return;
    const seen = (query) => [...(panel()?.querySelectorAll(query) || [])].find((one) => one.offsetParent);
    (seen("[id$=-message] textarea") || seen("textarea") || seen("input[type=text]"))?.focus();
  });

  // The Models panel stands at the page's end: the keyboard goes into it when it opens, and Escape closes
  // it and goes back to where it was opened from.
  const side = () => document.querySelector(".sidebar.open");
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("#open-models")) return;
    const end = Date.now() + 5000;
    const look = setInterval(() => {
      side()?.querySelector("button")?.focus(); // not before it has become visible
      if (side()?.contains(document.activeElement) || Date.now() > end) clearInterval(look);
    }, 100);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !side() || event.target.getAttribute?.("aria-expanded") === "true") return;
    side().querySelector("button").click();
    document.getElementById("open-models").focus();
  });

  // On a phone the result is below the controls: a run scrolls to it once something comes.
  const toResult = (start) => {
    if (innerWidth >= 800) return;
    const prefix = start.replace(/-start$/, "");
    const status = document.getElementById(`${prefix}-status`);
    const result = document.getElementById(`${prefix}-right`) || document.getElementById(`${prefix}-result`);
    if (!status || !result) return;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const watch = new MutationObserver(() => {
      if (!status.querySelector("[role=status]")) return;
      watch.disconnect();
      result.scrollIntoView({ block: "start", behavior: calm ? "auto" : "smooth" });
    });
    watch.observe(status, { childList: true, subtree: true, characterData: true });
    setTimeout(() => watch.disconnect(), 60_000);
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button[id$=-start], [id$=-examples] button");
    if (!button) return;
    if (event.detail > 1) event.stopImmediatePropagation(); // a double click is one run, also where a second would wait
    else if (button.id) toResult(button.id);
  }, true);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || !event.target.matches?.("textarea, input")) return;
    const start = event.target.closest("[role=tabpanel]")?.querySelector("button.primary[id$=-start]");
    if (start) toResult(start.id);
  }, true);
})();
