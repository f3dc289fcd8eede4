// Charts of bars that are buttons. All text is set as text; lengths are numbers from the kernel.
// A press is shown at once; state from the kernel is shown again once it has answered the press.

const make = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
};

const percent = (share) => `${Math.max(0, Math.min(100, 100 * share))}%`;

class Bars {
  constructor(model, el) {
    this.model = model;
    this.view = `${Date.now()}-${Math.random()}`;
    this.id = 0;
    this.root = make("div", {
      class: "tf-bars tex2jax_ignore mathjax_ignore",
      "data-lm-suppress-shortcuts": "true",
    });
    this.heard = () => this.draw();
    model.on("change:_state", this.heard);
    el.append(this.root);
    this.draw();
  }

  remove() {
    this.model.off("change:_state", this.heard);
  }

  draw() {
    const charts = this.model.get("_charts");
    const { picked, answered, version } = this.model.get("_state");
    this.version = version;
    if (this.drawn !== charts) this.root.replaceChildren(...charts.map((c, n) => this.chart(c, n)));
    this.drawn = charts;
    if ((answered[this.view] ?? 0) >= this.id) this.press(picked);
  }

  chart({ title, mark, key, bars, more }, number) {
    const heading = make("h4", {}, `${title} `);
    if (mark) heading.append(make("span", { class: "tf-mark" }, mark));
    const list = make("ul", { "aria-label": title });
    list.append(...bars.map((bar, place) => make("li", {}, this.bar(bar, number, place))));
    const chart = make("section", { "aria-label": title }, heading, list);
    chart.append(make("p", { class: "tf-key" }, more ? `${key} ${more}` : key));
    return chart;
  }

  bar({ label, name, text, got, asked }, chart, place) {
    const track = make("span", { class: "tf-track", "aria-hidden": "true" });
    const length = make("span", { class: "tf-length" });
    length.style.width = percent(got);
    track.append(length);
    if (asked !== null) {
      const line = make("span", { class: "tf-asked" });
      line.style.left = percent(asked);
      track.append(line);
    }
    const button = make(
      "button",
      { type: "button", "aria-label": name, "aria-pressed": "false", title: name },
      make("span", { class: "tf-what", dir: "auto" }, label),
      track,
      make("span", { class: "tf-text" }, text),
    );
    button.addEventListener("click", () => {
      const pressed = button.getAttribute("aria-pressed") === "true";
      this.id += 1;
      const pick = pressed ? null : [chart, place];
      this.model.send({ view: this.view, id: this.id, wish: { pick, version: this.version } });
      this.press(pick);
    });
    return button;
  }

  press(picked) {
    [...this.root.children].forEach((chart, number) => {
      [...chart.querySelectorAll("button")].forEach((button, place) => {
        const on = picked !== null && picked[0] === number && picked[1] === place;
        button.setAttribute("aria-pressed", String(on));
      });
    });
  }
}

export default {
  render({ model, el }) {
    const bars = new Bars(model, el);
    return () => bars.remove();
  },
};
