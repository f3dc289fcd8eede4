// Groups of checkboxes. All text is set as text. A tick is shown at once; state from the kernel is
// shown again once it has answered the last tick.

const make = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
};

class Choices {
  constructor(model, el) {
    this.model = model;
    this.view = `${Date.now()}-${Math.random()}`;
    this.id = 0;
    this.groups = new Map();
    this.root = make("div", {
      class: "tf-choices tex2jax_ignore mathjax_ignore",
      "data-lm-suppress-shortcuts": "true",
    });
    this.heard = () => {
      if (!this.id || this.model.get("_state").answered[this.view] >= this.id) this.draw();
    };
    model.on("change:_state", this.heard);
    el.append(this.root);
    this.draw();
  }

  remove() {
    this.model.off("change:_state", this.heard);
  }

  draw() {
    const groups = this.model.get("_groups");
    for (const group of groups) {
      if (!this.groups.has(group.key)) this.groups.set(group.key, this.makeGroup(group));
      this.drawGroup(this.groups.get(group.key), group);
    }
  }

  makeGroup({ key, label, open }) {
    const said = make("span");
    const summary = make("summary", {}, `${label} `, said);
    const set = make("fieldset", { "aria-label": label });
    const more = make("div", { class: "tf-more" });
    const root = make("details", open ? { open: "" } : {}, summary, set, more);
    this.root.append(root);
    return { key, said, set, more, boxes: new Map() };
  }

  drawGroup(group, { options, more }) {
    const seen = new Set();
    const rows = options.map(([value, label, number, on]) => {
      seen.add(value);
      if (!group.boxes.has(value)) group.boxes.set(value, this.makeBox(group.key, value));
      const box = group.boxes.get(value);
      box.input.checked = on;
      box.what.textContent = label;
      box.number.textContent = number === null ? "" : number.toLocaleString("en");
      return box.row;
    });
    for (const value of [...group.boxes.keys()]) if (!seen.has(value)) group.boxes.delete(value);
    // Only if they differ: an element that is inserted again loses the focus.
    if (rows.length !== group.set.children.length || rows.some((r, n) => r !== group.set.children[n])) {
      const focused = document.activeElement;
      group.set.replaceChildren(...rows);
      if (group.set.contains(focused)) focused.focus({ preventScroll: true });
    }
    const ticked = options.filter((option) => option[3]).length;
    group.said.textContent = ticked ? `(${ticked})` : "";
    group.more.textContent = more;
  }

  makeBox(key, value) {
    const input = make("input", { type: "checkbox" });
    const what = make("span", { class: "tf-what", dir: "auto" });
    const number = make("span", { class: "tf-number" });
    input.addEventListener("change", () => {
      this.id += 1;
      const wish = { key, value, on: input.checked };
      this.model.send({ view: this.view, id: this.id, wish });
    });
    return { input, what, number, row: make("label", {}, input, what, number) };
  }
}

export default {
  render({ model, el }) {
    const choices = new Choices(model, el);
    return () => choices.remove();
  },
};
