// Conversations, stored in this browser alone. One entry of localStorage each, so that two open pages
// do not overwrite each other's; which one a page shows is in its sessionStorage, through a reload.
// A function returns the values of Gradio's outputs; undefined leaves one as it is.
window.genlab.chats = (() => {
  const PREFIX = "genlab.chat.";
  const CURRENT = "genlab.chat-shown";
  let current = null; // id of the conversation on the page, null before its first message
  let entryText = null; // the entry of it, as this page last read or wrote it
  let turnsText = "[]"; // the chatbot's turns, at their last change
  let stale = null; // its turns from before another conversation was opened: not to be stored again

  const text = (content) =>
    typeof content === "string" ? content : (content || []).map((part) => part.text ?? "").join("");
  const plain = (turns) => (turns || []).map(({ role, content }) => ({ role, content: text(content) }));
  const blocks = (turns) => turns.map(({ role, content }) => ({ role, content: [{ type: "text", text: content }] }));
  const newId = () => `${Date.now()}-${Math.random()}`;
  const show = (id) => {
    current = id;
    try { id ? sessionStorage.setItem(CURRENT, id) : sessionStorage.removeItem(CURRENT); } catch { /* private */ }
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
    if (id === current) entryText = value;
    return true;
  };
  const nameOf = (messages) => {
    const first = messages.find((turn) => turn.role === "user")?.content.trim() || "…";
    const line = [...first.split("\n")[0]];
    return line.length > 40 ? line.slice(0, 39).join("") + "…" : line.join("");
  };
  const choices = () => ({ __type__: "update", choices: all().map(([id, entry]) => [entry.name, id]), value: current });
  const note = (words) => (words ? `<p class="note" role="status">${words}</p>` : "");

  // ---------------------------------------------------------------- what the page calls

  // The chatbot, the status line or a dial changed. -> [chooser, name, note]
  const store = (names, full, turns, status, ...values) => {
    const messages = plain(turns);
    turnsText = JSON.stringify(messages);
    if (turnsText === stale || !messages.length) return [];
    stale = null;
    const dials = Object.fromEntries(names.map((name, at) => [name, values[at]]));
    const before = current && read(current);
    // The line tells of an answer on its way or whole; after a stop or a fault a half one stays half.
    const half = /class="pending half"/.test(status || "") ||
      Boolean(before?.half && before.messages.length === messages.length && !/class="whole"/.test(status || ""));
    const same = before &&
      JSON.stringify([before.dials, before.messages, Boolean(before.half)]) === JSON.stringify([dials, messages, half]);
    if (same) return [];
    // Another page of this browser went on with it: this page's goes its own way.
    const elsewhere = before && localStorage.getItem(PREFIX + current) !== entryText;
    const fresh = !before || elsewhere;
    if (fresh) show(newId());
    const named = before?.named || false;
    const name = named ? before.name : nameOf(messages);
    const room = write(current, { name, named, updated: Date.now(), dials, messages, half });
    return fresh || name !== before.name ? [choices(), name, note(room ? "" : full)] : [, , note(room ? "" : full)];
  };

  // A question whose answer never began: the page or the server went away before its first word.
  const openQuestion = ({ messages }) => {
    const [question, reply] = messages.slice(-2);
    return question?.role === "user" && reply?.role === "assistant" && !reply.content.trim() ? question.content : "";
  };
  const above = (question, typed) =>
    typed === question || typed?.startsWith(question + "\n") ? typed : [question, typed].filter(Boolean).join("\n");

  // An unanswered question is not shown with an empty answer: it goes back into the box, and a line says so.
  // A half answer can be continued. -> [chooser, name, note, chatbot, message, status, go_on, ...dials]
  const open = (names, lines, id, typed) => {
    const entry = id && read(id);
    if (!entry) return [choices()];
    show(id);
    entryText = localStorage.getItem(PREFIX + id);
    stale = turnsText;
    const question = openQuestion(entry);
    const turns = question ? entry.messages.slice(0, -2) : entry.messages;
    const [box, status, goOn] = question ? [above(question, typed), lines.unanswered]
      : entry.half ? [, lines.half, { __type__: "update", visible: true }] : [];
    const dials = names.map((name) => entry.dials[name] ?? undefined);
    return [choices(), entry.name, "", blocks(turns), box, status, goOn, ...dials];
  };
  const restore = (names, lines) => {
    let id = null;
    try { id = sessionStorage.getItem(CURRENT); } catch { /* private */ }
    const entry = id && read(id);
    if (!entry) return [choices()];
    const question = openQuestion(entry);
    // What was half typed comes back by experiments.js, a moment later: below the question.
    if (question) window.genlab.experiments.bringBack("chat", "message", (typed) => above(question, typed));
    return open(names, lines, id);
  };
  const fresh = () => {
    show(null);
    stale = turnsText;
    return [choices(), "", "", []];
  };

  // -> [chooser]
  const rename = (name) => {
    const entry = current && read(current);
    if (!entry || name.trim() === entry.name) return [];
    const named = Boolean(name.trim());
    write(current, { ...entry, named, name: named ? name.trim().slice(0, 120) : nameOf(entry.messages) });
    return [choices()];
  };
  // -> as open
  const remove = (question) => {
    if (!current || !confirm(question[window.genlab.language()])) return [];
    localStorage.removeItem(PREFIX + current);
    return fresh();
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
  const exportFile = (name, entries) => {
    const conversations = entries.map(({ name, dials, messages }) => ({ name, dials, messages }));
    const file = { format: "genlab-conversations", version: 1, conversations };
    if (entries.length) download(name, "application/json", JSON.stringify(file, null, 2));
    return [];
  };
  const saveOne = () => exportFile(read(current)?.name || "", current && read(current) ? [read(current)] : []);
  const saveAll = () => exportFile("GenLab", all().map(([, entry]) => entry));
  const saveMarkdown = (content) => (content && download(read(current)?.name || "", "text/markdown", content), []);

  // -> [text]: of the file that is picked, cut one byte past the largest that is read
  const pick = (most) => new Promise((done) => {
    const input = Object.assign(document.createElement("input"), { type: "file", accept: ".json,.md" });
    input.onchange = async () => done([await input.files[0].slice(0, most + 1).text()]);
    input.oncancel = () => done([""]);
    input.click();
  });
  // The conversations of a file, checked by the server: beside those that are there. -> as open
  const add = (names, lines, full, conversations, typed) => {
    const ids = conversations.map((entry) => {
      const id = newId();
      const name = entry.name || nameOf(entry.messages);
      return write(id, { ...entry, name, named: Boolean(entry.name), updated: Date.now() }) && id;
    });
    if (ids.includes(false)) return [choices(), , note(full)];
    return ids.length ? open(names, lines, ids[0], typed) : [];
  };

  // After a fault: a message without an answer goes back into the box, a half answer can be
  // continued. -> [chatbot, message, go_on]
  const giveBack = (turns, message) => {
    const [question, reply] = (turns || []).slice(-2);
    if (reply?.role !== "assistant") return [];
    if (text(reply.content)) return [, , { __type__: "update", visible: true }];
    return [turns.slice(0, -2), above(text(question.content), message)];
  };

  const failed = (turns, message, status) => (/class="failed"/.test(status || "") ? giveBack(turns, message) : []);

  // After a stop; the status line tells whether an answer was on its way, and whether there are words
  // of it. -> [chatbot, message, go_on, status]
  const stop = (line, turns, message, status) => {
    const pending = /class="pending( half)?"/.exec(status || "");
    if (!pending) return [];
    const wordless = !text((turns || []).at(-1)?.content);
    // An experiment takes its place: then the box has another message already.
    if (wordless && window.genlab.experiments.isDue("chat-start")) return [turns.slice(0, -2), , , line];
    const [before, back, goOn] = pending[1] || wordless ? giveBack(turns, message) : [];
    return [before, back, goOn, line];
  };

  return { store, open, restore, fresh, rename, remove, saveOne, saveAll, saveMarkdown, pick, add, failed, stop };
})();
