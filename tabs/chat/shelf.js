// Conversations, kept in this browser alone. One entry of localStorage each, so that two open pages
// do not overwrite each other's; which one a page shows is in its sessionStorage, through a reload.
// What a function hands back are the values of Gradio's outputs; undefined leaves one as it is.
window.genlab.chats = (() => {
  const PREFIX = "genlab.chat.";
  const SHOWN = "genlab.chat-shown";
  let shown = null; // id of the conversation on the page, null before its first message
  let written = null; // what this page last read or wrote of it
  let seen = "[]"; // the chatbot's turns, as last seen
  let stale = null; // its turns from before another conversation was opened: no longer to be kept

  const text = (content) =>
    typeof content === "string" ? content : (content || []).map((part) => part.text ?? "").join("");
  const plain = (turns) => (turns || []).map(({ role, content }) => ({ role, content: text(content) }));
  const blocks = (turns) => turns.map(({ role, content }) => ({ role, content: [{ type: "text", text: content }] }));
  const newId = () => `${Date.now()}-${Math.random()}`;
  const show = (id) => {
    shown = id;
    try { id ? sessionStorage.setItem(SHOWN, id) : sessionStorage.removeItem(SHOWN); } catch { /* private */ }
  };

  // ---------------------------------------------------------------- entries

  const isConversation = (entry) =>
    entry && typeof entry.name === "string" && typeof entry.dials === "object" && Array.isArray(entry.messages) &&
    entry.messages.every((turn) => ["user", "assistant"].includes(turn?.role) && typeof turn.content === "string");
  const read = (id) => {
    try {
      const entry = JSON.parse(localStorage.getItem(PREFIX + id));
      return isConversation(entry) ? entry : null;
    } catch { return null; }
  };
  const all = () => {
    let keys = [];
    try { keys = Object.keys(localStorage); } catch { /* storage is off */ }
    return keys.filter((key) => key.startsWith(PREFIX))
      .map((key) => [key.slice(PREFIX.length), read(key.slice(PREFIX.length))])
      .filter(([, entry]) => entry)
      .sort(([, a], [, b]) => (b.updated || 0) - (a.updated || 0));
  };
  const write = (id, entry) => { // whether there was room
    const value = JSON.stringify(entry);
    try { localStorage.setItem(PREFIX + id, value); } catch { return false; }
    if (id === shown) written = value;
    return true;
  };
  const nameOf = (messages) => {
    const first = messages.find((turn) => turn.role === "user")?.content.trim() || "…";
    const line = [...first.split("\n")[0]];
    return line.length > 40 ? line.slice(0, 39).join("") + "…" : line.join("");
  };
  const choices = () => ({ __type__: "update", choices: all().map(([id, entry]) => [entry.name, id]), value: shown });
  const said = (words) => (words ? `<p class="note" role="status">${words}</p>` : "");

  // ---------------------------------------------------------------- what the page calls

  // The chatbot or a dial changed. -> [chooser, name, note]
  const keep = (names, full, turns, ...values) => {
    const messages = plain(turns);
    seen = JSON.stringify(messages);
    if (seen === stale || !messages.length) return [];
    stale = null;
    const dials = Object.fromEntries(names.map((name, at) => [name, values[at]]));
    const before = shown && read(shown);
    const same = before && JSON.stringify([before.dials, before.messages]) === JSON.stringify([dials, messages]);
    if (same) return [];
    // Another page of this browser went on with it: this page's goes its own way.
    const parted = before && localStorage.getItem(PREFIX + shown) !== written;
    const fresh = !before || parted;
    if (fresh) show(newId());
    const named = before?.named || false;
    const name = named ? before.name : nameOf(messages);
    const room = write(shown, { name, named, updated: Date.now(), dials, messages });
    return fresh || name !== before.name ? [choices(), name, said(room ? "" : full)] : [, , said(room ? "" : full)];
  };

  // -> [chooser, name, note, chatbot, ...dials]
  const open = (names, id) => {
    const entry = id && read(id);
    if (!entry) return [choices()];
    show(id);
    written = localStorage.getItem(PREFIX + id);
    stale = seen;
    const dials = names.map((name) => entry.dials[name] ?? undefined);
    return [choices(), entry.name, "", blocks(entry.messages), ...dials];
  };
  const restore = (names) => {
    let id = null;
    try { id = sessionStorage.getItem(SHOWN); } catch { /* private */ }
    return id && read(id) ? open(names, id) : [choices()];
  };
  const fresh = (names) => {
    show(null);
    stale = seen;
    return [choices(), "", "", [], ...names.map(() => undefined)];
  };

  // -> [chooser]
  const rename = (name) => {
    const entry = shown && read(shown);
    if (!entry || name.trim() === entry.name) return [];
    const named = Boolean(name.trim());
    write(shown, { ...entry, named, name: named ? name.trim().slice(0, 120) : nameOf(entry.messages) });
    return [choices()];
  };
  // -> as open
  const remove = (names, question) => {
    if (!shown || !confirm(question[window.genlab.language()])) return [];
    localStorage.removeItem(PREFIX + shown);
    return fresh(names);
  };

  // ---------------------------------------------------------------- files

  const download = (name, type, content) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content], { type }));
    link.download = name.replace(/[^\p{L}\p{N} _-]/gu, "").trim().slice(0, 60) || "conversation";
    link.download += type === "text/markdown" ? ".md" : ".json";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  };
  const saved = (name, entries) => {
    const conversations = entries.map(({ name, dials, messages }) => ({ name, dials, messages }));
    const file = { format: "genlab-conversations", version: 1, conversations };
    if (entries.length) download(name, "application/json", JSON.stringify(file, null, 2));
    return [];
  };
  const saveOne = () => saved(read(shown)?.name || "", shown && read(shown) ? [read(shown)] : []);
  const saveAll = () => saved("GenLab", all().map(([, entry]) => entry));
  const saveMarkdown = (content) => (download(read(shown)?.name || "", "text/markdown", content), []);

  // -> [text]: of the file that is picked, cut one byte past the largest that is read
  const pick = (most) => new Promise((done) => {
    const input = Object.assign(document.createElement("input"), { type: "file", accept: ".json,.md" });
    input.onchange = async () => done([await input.files[0].slice(0, most + 1).text()]);
    input.oncancel = () => done([""]);
    input.click();
  });
  // The conversations of a file, checked by the server: beside those that are there. -> as open
  const add = (names, full, conversations) => {
    const ids = conversations.map((entry) => {
      const id = newId();
      const name = entry.name || nameOf(entry.messages);
      return write(id, { ...entry, name, named: Boolean(entry.name), updated: Date.now() }) && id;
    });
    if (ids.includes(false)) return [choices(), , said(full)];
    return ids.length ? open(names, ids[0]) : [];
  };

  // After a fault: what was never answered goes back into the box, a half answer can be
  // gone on with. -> [chatbot, message, go_on]
  const giveBack = (turns, message) => {
    const [question, reply] = (turns || []).slice(-2);
    if (reply?.role !== "assistant") return [];
    if (text(reply.content)) return [, , { __type__: "update", visible: true }];
    return [turns.slice(0, -2), [text(question.content), message].filter(Boolean).join("\n")];
  };

  // After a stop; the status line tells whether anything was on its way, and whether there are words
  // of it. -> [chatbot, message, go_on, status]
  const stopped = (said, turns, message, status) => {
    const pending = /class="pending( half)?"/.exec(status || "");
    if (!pending) return [];
    const unanswered = !text((turns || []).at(-1)?.content);
    const [before, back, goOn] = pending[1] || unanswered ? giveBack(turns, message) : [];
    return [before, back, goOn, said];
  };

  return { keep, open, restore, fresh, rename, remove, saveOne, saveAll, saveMarkdown, pick, add, giveBack, stopped };
})();
