// What else could have come: the bars and the curve of one token of an answer, moved by the dials here in
// the browser. A token's button carries its odds in data-odds: {rows: [[text, id, raw, may go on]], drawn:
// number of its own row, bits: entropy or null, others: see below}.
window.genlab.lens = (() => {
  const STEP = 0.05; // of the temperatures that `others` is known at
  const MANY = 50_000; // tokens in a vocabulary, where nothing else is known
  const CURVES = 4;
  const dials = { temperature: 1, top_p: 1, top_k: 0 };
  let pinned = null; // the button whose odds stay
  let pinnedOdds = null; // these odds: a new answer may come into the elements of the one before
  let current = null; // the one whose odds are on the page

  // ---------------------------------------------------------------- numbers

  // ln of what the tokens without a row weigh together, as the sum of p ** (1 / temperature). A recorded
  // example knows it. Else the others are taken to fall off as Zipf's law has it, p ~ 1 / rank ** s, from
  // the last row on: s is found from what they weigh at temperature 1.
  const logOthers = ({ rows, drawn, others }, temperature) => {
    if (others) {
      const at = Math.min(Math.max(temperature / STEP - 1, 0), others.length - 1);
      const low = Math.floor(at + 1e-6);
      const high = Math.min(low + 1, others.length - 1);
      return others[low] + (others[high] - others[low]) * Math.max(0, at - low);
    }
    const rest = 1 - rows.reduce((sum, row) => sum + row[2], 0);
    const named = rows.filter((row, number) => row[2] > 0 && (number !== drawn || rows.length === 1));
    if (rest < 1e-5 || !named.length) return -Infinity;
    const least = Math.min(...named.map((row) => row[2]));
    const [first, last] = [(rows.length + 0.5) / rows.length, (MANY + 0.5) / rows.length];
    const total = (s) => (Math.abs(s - 1) < 1e-6 ? rows.length * Math.log(last / first)
      : (rows.length / (s - 1)) * (first ** (1 - s) - last ** (1 - s)));
    let [low, high] = [0, 30];
    for (let n = 0; n < 40; n++) {
      const middle = (low + high) / 2;
      if (least * total(middle) > rest) low = middle; else high = middle;
    }
    return Math.log(least) / temperature + Math.log(total(low / temperature));
  };

  // Probabilities of the rows and of all others at a temperature.
  const shares = (odds, temperature) => {
    const best = odds.rows.reduce((top, row, at, rows) => (row[2] > rows[top][2] ? at : top), 0);
    if (temperature < STEP / 2) return { rows: odds.rows.map((_, at) => (at === best ? 1 : 0)), others: 0 };
    const logs = odds.rows.map((row) => (row[2] > 0 ? Math.log(row[2]) / temperature : -Infinity));
    const rest = logOthers(odds, temperature);
    const top = Math.max(rest, ...logs);
    const weights = logs.map((value) => Math.exp(value - top));
    const sum = weights.reduce((a, b) => a + b, Math.exp(rest - top));
    return { rows: weights.map((weight) => weight / sum), others: Math.exp(rest - top) / sum };
  };

  // Which rows, and whether the others, top-p and top-k leave out of the draw.
  const cuts = ({ rows, others }) => {
    const order = rows.map((share, at) => [share, at]).sort((a, b) => b[0] - a[0]);
    const out = rows.map(() => false);
    let sum = 0;
    order.forEach(([share, at], rank) => {
      out[at] = share > 0 && ((dials.top_k > 0 && rank >= dials.top_k) || sum >= dials.top_p - 1e-9);
      sum += share;
    });
    const all = dials.top_k > 0 && dials.top_k <= rows.length;
    return { rows: out, others: others > 0 && (all || sum >= dials.top_p - 1e-9) };
  };

  // ---------------------------------------------------------------- pieces of the page

  const page = (id) => document.getElementById(id);
  const words = (key) => document.querySelector(`#dice-words [data-key="${key}"]`)?.innerHTML || "";
  const fill = (key, values) =>
    Object.entries(values).reduce((text, [name, value]) => text.replaceAll(`⟪${name}⟫`, value), words(key));
  const plain = (text) => text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
  const SIGNS = { " ": "·", "\n": "↵", "\t": "→" };
  const symbols = (text) =>
    [...text].map((c) => (SIGNS[c] ? `<i>${SIGNS[c]}</i>` : plain(c))).join("");
  const visible = (text) =>
    text.split(/(⟨[0-9a-f ]+⟩)/).map((part, at) => (at % 2 ? part : symbols(part))).join("") || "<i>∅</i>";
  const percent = (share) => {
    if (share === 0) return "0%";
    if (share < 1e-4) return "&lt;0.01%";
    return `${(100 * share).toFixed(share < 0.09995 ? 2 : 1)}%`;
  };
  const oddsOf = (button) => {
    try { return JSON.parse(button.dataset.odds); } catch { return null; }
  };

  // ---------------------------------------------------------------- bars

  const row = (name, inner, right, kind = "") =>
    `<li class="odd ${kind}"><span class="name">${name}</span>${inner}<span class="right">${right}</span></li>`;
  const LINE = '<span class="line"><span></span><i></i></span><span class="percent"></span>';

  const draw = (button) => {
    point(button);
    const odds = button && oddsOf(button);
    const [bars, figure] = [page("dice-bars"), page("dice-curve")];
    if (!bars || !figure) return; // not there yet: `start` comes again
    current = odds ? button : null;
    bars.hidden = figure.hidden = !odds;
    if (!odds) return;
    const rows = odds.rows.map(([text, , , on], number) => {
      const own = number === odds.drawn;
      const at = `${button.dataset.at}:${number}`;
      const take = on ? `<button type="button" class="take" data-at="${at}">${words("instead")}</button>` : words("no_branch");
      return row(visible(text), LINE, own ? words("drawn") : take, own ? "drawn" : "");
    });
    if (logOthers(odds, 1) > -Infinity) rows.push(row(words("others"), LINE, "", "rest"));
    const entropy = odds.bits === null ? "" : fill("entropy", { bits: odds.bits.toFixed(2), equal: (2 ** odds.bits).toFixed(1) });
    page("dice-which-token").innerHTML = fill("place", { token: `<b>${visible(odds.rows[odds.drawn][0])}</b>` });
    bars.querySelector("ol").innerHTML = rows.join("");
    page("dice-entropy").innerHTML = entropy;
    move();
  };

  const move = () => {
    const odds = current?.isConnected && oddsOf(current);
    if (!odds) return;
    const now = shares(odds, dials.temperature);
    const out = cuts(now);
    // At temperature 1 the others weigh what the rows leave; else their weight is an estimate.
    const about = !odds.others && now.others > 0 && Math.abs(dials.temperature - 1) > STEP / 2;
    const own = [...odds.rows.map((one) => one[2]), Math.max(0, 1 - odds.rows.reduce((sum, one) => sum + one[2], 0))];
    document.querySelectorAll("#dice-bars ol > li").forEach((item, at) => {
      const share = at < now.rows.length ? now.rows[at] : now.others;
      const cut = at < now.rows.length ? out.rows[at] : out.others;
      item.classList.toggle("cut", cut);
      item.querySelector(".line > span").style.width = `${100 * share}%`;
      item.querySelector(".line > i").style.left = `${100 * own[at]}%`;
      const number = `${about && at >= now.rows.length ? "≈" : ""}${percent(share)}`;
      item.querySelector(".percent").innerHTML = cut ? `(${number})` : number;
    });
    page("dice-about").hidden = !about;
    const any = out.others || out.rows.includes(true);
    page("dice-cut").hidden = !any;
    curve(odds);
  };

  // ---------------------------------------------------------------- the curve over temperature

  // As wide as its place beside the bars on a laptop, so that its letters are as large as they say.
  const [WIDE, HIGH, LEFT, BOTTOM, RIGHT] = [256, 156, 34, 22, 64];
  const x = (temperature) => LEFT + (temperature / 2) * (WIDE - LEFT - RIGHT);
  const y = (share) => 6 + (1 - share) * (HIGH - BOTTOM - 6);
  const curve = (odds) => {
    const ranked = odds.rows.map((one, at) => [one[2], at]).sort((a, b) => b[0] - a[0]).map(([, at]) => at);
    const chosen = ranked.slice(0, CURVES);
    if (!chosen.includes(odds.drawn)) chosen[chosen.length - 1] = odds.drawn;
    const temperatures = Array.from({ length: 40 }, (_, n) => (n + 1) * STEP);
    const all = temperatures.map((temperature) => shares(odds, temperature));
    const now = shares(odds, dials.temperature);
    const lines = chosen.map((at, number) => {
      const points = all.map((one, n) => `${x(temperatures[n]).toFixed(1)},${y(one.rows[at]).toFixed(1)}`).join(" ");
      const kind = at === odds.drawn ? "own" : `other${number}`;
      return `<polyline class="${kind}" points="${points}"/><circle class="${kind}" cx="${x(dials.temperature)}" cy="${y(now.rows[at])}" r="3.5"/>`;
    });
    // The names at the right end, apart from each other.
    const ends = chosen.map((at) => ({ at, place: y(all.at(-1).rows[at]) })).sort((a, b) => a.place - b.place);
    ends.forEach((end, n) => { if (n) end.place = Math.max(end.place, ends[n - 1].place + 13); });
    ends.reduceRight((below, end) => (end.place = Math.min(end.place, below - 13)), HIGH - BOTTOM + 13 - 2); // above the ticks
    const names = ends.map(({ at, place }) => {
      const text = [...odds.rows[at][0]].map((c) => SIGNS[c] || c).join("") || "∅";
      const short = [...text].length > 9 ? `${[...text].slice(0, 8).join("")}…` : text;
      return `<text class="${at === odds.drawn ? "own" : ""}" x="${x(2) + 5}" y="${place + 4}">${plain(short)}</text>`;
    });
    const grid = [0, 0.5, 1].map((share) =>
      `<line class="grid" x1="${LEFT}" x2="${x(2)}" y1="${y(share)}" y2="${y(share)}"/>` +
      `<text x="${LEFT - 4}" y="${y(share) + 4}" text-anchor="end">${100 * share}%</text>`);
    const ticks = [0, 0.5, 1, 1.5, 2].map((t) => `<text x="${x(t)}" y="${HIGH - 6}" text-anchor="middle">${t}</text>`);
    const here = `<line class="here" x1="${x(dials.temperature)}" x2="${x(dials.temperature)}" y1="6" y2="${HIGH - BOTTOM}"/>`;
    page("dice-curve").querySelector("svg").innerHTML = [...grid, ...ticks, here, ...lines, ...names].join("");
  };

  // ---------------------------------------------------------------- choosing a token

  const tokens = () => [...document.querySelectorAll("#dice-view .tok[data-odds]")].filter((b) => b.offsetParent);
  const pin = (button) => {
    document.querySelectorAll("#dice-view .tok[aria-pressed=true]").forEach((b) => b.setAttribute("aria-pressed", false));
    document.querySelectorAll("#dice-view .tok[tabindex='0']").forEach((b) => (b.tabIndex = -1));
    pinned = button;
    pinnedOdds = button ? button.dataset.odds : null;
    if (button) { button.setAttribute("aria-pressed", true); button.tabIndex = 0; }
    draw(button);
  };
  // ---------------------------------------------------------------- the answer in the conversation

  // The same tokens, tinted in the bubble itself without a change of its elements: Highlights of ranges of
  // its text. Where the text is not what the tokens make (Markdown, an earlier answer), there are none.
  let spots = []; // {button, range}
  const SHADES = ["chance-1", "chance-2", "chance-3", "chance-4", "chance-5"];
  const highlight = (name, ranges) => {
    if (ranges.length) CSS.highlights.set(`genlab-${name}`, new Highlight(...ranges));
    else CSS.highlights.delete(`genlab-${name}`);
  };
  const point = (button) => {
    if (window.CSS?.highlights) highlight("token", spots.filter((spot) => spot.button === button).map((spot) => spot.range));
  };
  const BUBBLES = "#chat-bot .bot.message, #chat-bot .example-talk .reply";
  const bubble = () => [...document.querySelectorAll(BUBBLES)].filter((one) => one.offsetParent).at(-1);
  const tint = () => {
    if (!window.CSS?.highlights) return;
    spots = [];
    const reply = bubble();
    const card = [...document.querySelectorAll("#dice-view .card")].find((one) => one.offsetParent);
    if (reply && card) {
      const letters = []; // [node, offset], without spaces
      const walker = document.createTreeWalker(reply, NodeFilter.SHOW_TEXT);
      for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        for (let at = 0; at < node.data.length; at++) if (node.data[at].trim()) letters.push([node, at]);
      }
      const text = letters.map(([node, at]) => node.data[at]).join("");
      let at = 0;
      let found = 0;
      for (const button of card.querySelectorAll(".tok[data-odds]")) {
        const odds = oddsOf(button);
        const own = odds ? odds.rows[odds.drawn][0].replace(/\s/g, "") : "";
        const place = own ? text.indexOf(own, at) : -1;
        if (place < 0 || place > at + 8) continue;
        const range = document.createRange();
        range.setStart(...letters[place]);
        range.setEnd(letters[place + own.length - 1][0], letters[place + own.length - 1][1] + 1);
        spots.push({ button, range });
        at = place + own.length;
        found += own.length;
      }
      if (found < 0.7 * text.length) spots = [];
    }
    SHADES.forEach((shade) =>
      highlight(shade, spots.filter(({ button }) => button.classList.contains(shade)).map(({ range }) => range)));
    point(current);
  };
  const spotAt = ({ target, clientX, clientY }) => {
    if (!spots.length || !target.closest?.(BUBBLES)) return null;
    const inside = ({ left, right, top, bottom }) => clientX >= left && clientX <= right && clientY >= top && clientY <= bottom;
    return spots.find(({ range }) => [...range.getClientRects()].some(inside))?.button;
  };
  document.addEventListener("pointermove", (event) => {
    if (event.pointerType !== "mouse" || !spots.length) return;
    const button = spotAt(event);
    if (button && button !== current) draw(button);
    else if (!button && pinned && current !== pinned && !event.target.closest?.("#dice-view")) draw(pinned);
  });
  document.addEventListener("click", (event) => {
    const button = spotAt(event);
    if (!button || !getSelection().isCollapsed) return;
    button.focus({ preventScroll: true }); // the arrow keys go on from here
    pin(button);
    const lens = page("dice-details");
    if (lens.getBoundingClientRect().top > innerHeight - 80) lens.scrollIntoView({ block: "center", behavior: "smooth" });
  });
  let due = false;
  const tintSoon = () => {
    if (due) return;
    due = true;
    setTimeout(() => { due = false; tint(); }, 150);
  };

  // The answer on the page is another one: its most open token comes first.
  const start = () => {
    tintSoon();
    if (pinned?.isConnected && pinned.offsetParent && pinned.dataset.odds === pinnedOdds) {
      if (current !== pinned || pinned.getAttribute("aria-pressed") !== "true") pin(pinned);
      return;
    }
    const open = (button) => oddsOf(button)?.bits ?? 0;
    pin(tokens().reduce((best, button) => (!best || open(button) > open(best) ? button : best), null));
  };

  const mount = (element) => {
    const token = (event) => event.target.closest?.(".tok[data-odds]");
    element.addEventListener("click", (event) => token(event) && pin(token(event)));
    element.addEventListener("focusin", (event) => token(event) && pin(token(event)));
    element.addEventListener("pointerover", (event) => {
      if (event.pointerType === "mouse" && token(event)) draw(token(event));
    });
    element.addEventListener("pointerleave", () => pinned !== current && pin(pinned));
    element.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      const all = tokens();
      const here = all.indexOf(token(event));
      const to = event.key === "Home" ? 0 : event.key === "End" ? all.length - 1 : here + step;
      if (here < 0 || !all[to]) return;
      all[to].focus();
      event.preventDefault();
    });
    new MutationObserver(start).observe(element, { childList: true, subtree: true, attributeFilter: ["data-odds"] });
    new MutationObserver(start).observe(document.documentElement, { attributeFilter: ["lang"] });
    new IntersectionObserver(start).observe(element); // its tab is opened
    const chat = page("chat-bot");
    if (chat) new MutationObserver(tintSoon).observe(chat, { childList: true, subtree: true, characterData: true });
    start();
  };
  // A dial was moved, by hand or with a conversation that was opened.
  const turn = (temperature, top_p, top_k) => {
    Object.assign(dials, { temperature: Number(temperature), top_p: Number(top_p), top_k: Number(top_k) });
    move();
    return [];
  };
  // A part of the page was opened for the first time: its button gives a first result.
  const press = (button, result) => {
    setTimeout(() => document.querySelector(result) || page(button)?.click(), 300);
    return [];
  };
  return { mount, turn, start, shares, press };
})();
