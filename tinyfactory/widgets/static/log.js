// A conversation, oldest message first. Only new messages are sent; a view that opens late, or that
// missed one, requests all of them. Messages are set as text, never as markup.
const said = ({ role, who, text }) => {
  const line = document.createElement("div");
  line.className = role === "user" ? "tf-said tf-said-user" : "tf-said";
  const name = document.createElement("b");
  name.textContent = who;
  const words = document.createElement("div");
  words.textContent = text;
  line.append(name, words);
  return line;
};

export default {
  render({ model, el }) {
    const view = Math.random().toString(36).slice(2);
    const log = document.createElement("div");
    log.className = "tf-log";
    log.tabIndex = 0;
    log.setAttribute("role", "log");
    log.setAttribute("aria-label", model.get("_label"));
    log.setAttribute("data-lm-suppress-shortcuts", "true");
    const note = document.createElement("p");
    const lines = document.createElement("div");
    log.append(note, lines);
    el.append(log);

    let last = null;
    const ask = () => model.send({ view, wish: "all" });
    const heard = (message) => {
      if (message.kind === "all") {
        if (message.view && message.view !== view) return;
        // The whole conversation again is not read out.
        log.setAttribute("aria-live", "off");
        lines.replaceChildren(...message.lines.map(said));
        requestAnimationFrame(() => log.removeAttribute("aria-live"));
      } else if (message.number === last + 1) {
        lines.append(...message.lines.map(said));
        while (lines.childElementCount > message.keep) lines.firstElementChild.remove();
      } else {
        ask();
        return;
      }
      last = message.number;
      note.textContent = message.note;
      note.hidden = !message.note;
      log.scrollTop = log.scrollHeight;
    };
    model.on("msg:custom", heard);
    ask();
    return () => model.off("msg:custom", heard);
  },
};
