// Each tab and inner tab has its own address: #chat, #sentiment.teach. Back and Forward walk them. A link
// may bring values for the tab's controls behind a "?"; once they are set, they leave the address.
window.genlab.address = (() => {
  let ready = false; // whether the address that the page was opened with has been followed
  let turn = 0; // counts the addresses that were followed: a newer one ends the way to an older one

  const seen = (element) => element && element.offsetParent !== null;
  const button = (name) =>
    [...document.querySelectorAll(`[id="tab-${name.replaceAll(".", "-")}-button"]`)].find(seen);
  const chosen = (within) =>
    [...document.querySelectorAll(`${within} > .tab-wrapper button[role=tab][aria-selected=true]`)].find(seen)
      ?.id.replace(/^tab-/, "").replace(/-button$/, "");
  // The tab that is open, "chat" or "sentiment.teach"
  const current = () => {
    const tab = chosen("#tabs");
    if (!tab) return null;
    const inner = chosen(`#${tab}-parts`);
    return inner ? `${tab}.${inner.slice(tab.length + 1)}` : tab;
  };
  const parts = () => {
    const [name, query] = location.hash.slice(1).split(/\?(.*)/s);
    return { name: decodeURIComponent(name), values: query ? Object.fromEntries(new URLSearchParams(query)) : null };
  };
  const write = (how, name) =>
    history[how](history.state, "", `${location.pathname}${location.search}#${name}`);

  const until = async (find) => {
    for (const end = Date.now() + 5000; Date.now() < end;) {
      const found = find();
      if (found) return found;
      await new Promise((done) => setTimeout(done, 50));
    }
    return null;
  };
  // Open the tab of an address; whether there is one. `wanted` says whether it still is the newest.
  const follow = async (name, wanted) => {
    const [tab, inner] = name.split(".");
    const outer = /^\w+$/.test(tab) && await until(() => button(tab));
    if (!outer || !wanted()) return false;
    if (outer.getAttribute("aria-selected") !== "true") outer.click();
    if (!inner || !/^\w+$/.test(inner)) return true;
    const within = await until(() => button(name));
    if (within && wanted() && within.getAttribute("aria-selected") !== "true") within.click();
    return true;
  };

  // A tab was opened, by a person or by `follow`.
  const show = () => {
    requestAnimationFrame(() => {
      const name = ready && current();
      if (name && name !== parts().name) write("pushState", name);
    });
    return [];
  };
  const start = async () => {
    const { name, values } = parts();
    const mine = ++turn;
    const known = name ? await follow(name, () => mine === turn) : true;
    const here = (await until(current)) || "chat";
    write("replaceState", here);
    ready = true;
    if (values && known) {
      await until(() => document.getElementById(`${name.replaceAll(".", "-")}-open`));
      window.genlab.experiments.open(name, values);
    }
    window.genlab.experiments.restore(values ? name : null);
  };
  addEventListener("popstate", async () => {
    const { name, values } = parts();
    ready = false;
    const mine = ++turn; // a second Back comes while the first is still on its way
    await follow(name || "chat", () => mine === turn);
    if (mine !== turn) return;
    if (values) { // a link put into the open page
      window.genlab.experiments.open(name, values);
      write("replaceState", name);
    }
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    ready = mine === turn;
  });

  return { show, start, current };
})();
