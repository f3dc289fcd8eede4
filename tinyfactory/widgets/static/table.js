// One page of a table. Cells are shown as text only. An action (another page, order or row) is shown
// at once. One request is in flight at a time; actions meanwhile are sent as one request after the
// answer. So keys held down queue no work, and a late answer does not undo later actions.

// A cell with more characters than this wraps, and may become as narrow as so many.
const NARROWEST = 12;

const make = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
};

class Wishes {
  constructor(model, changed) {
    this.model = model;
    this.changed = changed;
    this.view = `${Date.now()}-${Math.random()}`;
    this.id = 0;
    this.open = null; // the request in flight
    this.next = null; // the request to send after it
  }

  add(wish) {
    this.next = { ...this.next, ...wish };
    this.send();
    this.changed();
  }

  send() {
    if (this.open || !this.next) return;
    [this.open, this.next] = [this.next, null];
    this.id += 1;
    this.model.send({ view: this.view, id: this.id, wish: this.open });
  }

  heard(state) {
    if (this.open && state.answered[this.view] >= this.id) this.open = null;
    this.send();
  }

  over(state) {
    return { ...state, ...this.open, ...this.next };
  }
}

class Table {
  constructor(model, el) {
    this.model = model;
    this.wishes = new Wishes(model, () => this.draw());
    this.follow = false; // whether to focus the chosen row when it arrives
    this.head = make("tr");
    this.body = make("tbody");
    this.grid = make("table", { role: "grid" }, make("thead", {}, this.head), this.body);
    this.scroll = make("div", { class: "tf-scroll" }, this.grid);
    this.said = make("span", { role: "status" });
    this.pager = make("nav");
    this.root = make("div", { "data-lm-suppress-shortcuts": "true" }, this.scroll, this.pager);
    this.makePager();
    this.body.addEventListener("click", (event) => this.clicked(event));
    this.body.addEventListener("keydown", (event) => this.pressed(event));
    this.heard = () => {
      this.wishes.heard(this.model.get("_state"));
      this.draw();
    };
    model.on("change:_state", this.heard);
    el.append(this.root);
    this.draw();
    setTimeout(() => this.wishes.add({ shown: true })); // the kernel may now start slow work
  }

  remove() {
    this.model.off("change:_state", this.heard);
  }

  // -- showing --------------------------------------------------------------------------

  draw() {
    const head = this.model.get("_head");
    const rows = this.model.get("_rows");
    const state = this.wishes.over(this.model.get("_state"));
    this.rows = rows;
    this.state = state;
    if (this.drawnHead !== head) this.drawHead(head);
    this.drawSort(state.sort);
    if (this.drawnRows !== rows || this.drawnHead !== head) this.drawRows(rows, head);
    this.drawnHead = head;
    this.drawnRows = rows;
    this.drawChosen();
    this.drawPager(state);
  }

  drawHead(head) {
    this.root.className = `tf-table tex2jax_ignore mathjax_ignore tf-${head.shape}`.replace(
      " tf-table",
      "",
    );
    this.scroll.style.maxHeight = head.height;
    this.grid.setAttribute("aria-label", head.label);
    this.pager.setAttribute("aria-label", `Pages of ${head.label}`);
    this.head.replaceChildren(
      ...head.columns.map(({ key, label, align, sortable }) => {
        const inner = make(sortable ? "button" : "span", sortable ? { type: "button" } : {}, label);
        if (sortable) inner.addEventListener("click", () => this.sortBy(key));
        const cell = make("th", { scope: "col", "data-key": key }, inner);
        cell.classList.toggle("tf-right", align === "right");
        return cell;
      }),
    );
  }

  drawSort(sort) {
    for (const cell of this.head.children) {
      const here = sort && sort[0] === cell.dataset.key;
      const way = here ? (sort[1] ? "descending" : "ascending") : "none";
      if (cell.firstChild.tagName === "BUTTON") cell.setAttribute("aria-sort", way);
    }
  }

  // Rows are reused, so that a focused row keeps the focus.
  drawRows({ cells, first, total }, { columns, empty }) {
    const focused = this.body.contains(document.activeElement);
    this.grid.setAttribute("aria-rowcount", total + 1);
    if (!cells.length) {
      const cell = make("td", { colspan: Math.max(1, columns.length) }, empty);
      this.body.replaceChildren(make("tr", { class: "tf-empty" }, cell));
      return;
    }
    if (this.body.firstChild?.className === "tf-empty") this.body.replaceChildren();
    cells.forEach((texts, place) => {
      const row = this.body.children[place] ?? this.body.appendChild(make("tr"));
      row.dataset.row = first + place;
      row.setAttribute("aria-rowindex", first + place + 2);
      while (row.children.length > texts.length) row.lastChild.remove();
      texts.forEach((text, number) => {
        const cell = row.children[number] ?? row.appendChild(make("td", {}, make("div")));
        const inner = cell.firstChild;
        const { label, align } = columns[number];
        inner.dir = "auto";
        if (inner.textContent !== text) inner.textContent = text;
        inner.style.minWidth = `${Math.min(text.length, NARROWEST)}ch`;
        cell.title = text.length > 24 ? text : "";
        cell.dataset.label = label;
        cell.classList.toggle("tf-right", align === "right");
      });
    });
    while (this.body.children.length > cells.length) this.body.lastChild.remove();
    if (focused && !this.body.contains(document.activeElement)) this.follow = true;
    if (this.drawnFirst !== first) this.scroll.scrollTop = 0;
    this.drawnFirst = first;
  }

  drawChosen() {
    let target = null;
    for (const row of this.body.children) {
      const chosen = this.state.selected !== null && Number(row.dataset.row) === this.state.selected;
      if (row.dataset.row !== undefined) row.setAttribute("aria-selected", chosen);
      row.tabIndex = -1;
      if (chosen) target = row;
    }
    const entry = target ?? this.body.querySelector("tr[data-row]");
    if (entry) entry.tabIndex = 0;
    if (this.follow && target) {
      this.follow = false;
      target.focus({ preventScroll: true });
      target.scrollIntoView({ block: "nearest" });
    }
  }

  // -- actions --------------------------------------------------------------------------

  sortBy(key) {
    const [before, descending] = this.state.sort ?? [];
    const again = before === key;
    this.wishes.add({ sort: again && descending ? null : [key, again] });
  }

  choose(number) {
    this.follow = true;
    const page = Math.floor(number / this.state.size);
    this.wishes.add({ selected: number, page });
  }

  clicked(event) {
    const row = event.target.closest("tr[data-row]");
    // The user is selecting a text to copy.
    if (row && !String(document.getSelection())) this.choose(Number(row.dataset.row));
  }

  pressed(event) {
    const row = event.target.closest("tr[data-row]");
    if (!row || event.ctrlKey || event.altKey || event.metaKey) return;
    // During fast paging, the request is ahead of the focused row.
    const here = this.follow ? this.state.selected : Number(row.dataset.row);
    const last = this.rows.total - 1;
    const across = this.root.classList.contains("tf-cards");
    const to = {
      ArrowDown: here + this.columnsAcross(),
      ArrowUp: here - this.columnsAcross(),
      ...(across && { ArrowRight: here + 1, ArrowLeft: here - 1 }),
      PageDown: here + this.state.size,
      PageUp: here - this.state.size,
      Home: 0,
      End: last,
      Enter: here,
      " ": here,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.choose(Math.max(0, Math.min(last, to)));
  }

  // The number of cards in a row; 1 in a table.
  columnsAcross() {
    const rows = [...this.body.children];
    const top = rows[0]?.offsetTop;
    const beside = rows.findIndex((row) => row.offsetTop !== top);
    return Math.max(1, beside < 0 ? rows.length : beside);
  }

  // -- the pages ------------------------------------------------------------------------

  makePager() {
    const turn = (sign, label, by) => {
      const button = make("button", { type: "button", "aria-label": label, title: label }, sign);
      button.addEventListener("click", () => this.turnTo(by(this.state.page)));
      return button;
    };
    this.back = [turn("«", "First page", () => 0), turn("‹", "Page before", (page) => page - 1)];
    this.on = [
      turn("›", "Next page", (page) => page + 1),
      turn("»", "Last page", () => this.state.pages - 1),
    ];
    this.number = make("input", { type: "number", min: 1, "aria-label": "Page" });
    const typed = () => this.turnTo(Math.round(this.number.value) - 1);
    this.number.addEventListener("change", typed);
    // A notebook keeps Enter from fields.
    this.number.addEventListener("keydown", ({ key }) => key === "Enter" && typed());
    this.of = make("span");
    this.pager.append(...this.back, this.number, this.of, ...this.on, this.said);
  }

  turnTo(page) {
    const to = Math.max(0, Math.min(this.state.pages - 1, Number.isFinite(page) ? page : 0));
    if (to !== this.state.page) this.wishes.add({ page: to });
    else this.number.value = to + 1;
  }

  drawPager({ page, pages }) {
    const { cells, first, total } = this.rows;
    const text = cells.length
      ? `${(first + 1).toLocaleString("en")} to ${(first + cells.length).toLocaleString("en")} of ${total.toLocaleString("en")}`
      : "";
    if (this.said.textContent !== text) this.said.textContent = text;
    this.of.textContent = `of ${pages.toLocaleString("en")}`;
    this.number.max = pages;
    if (document.activeElement !== this.number || this.drawnPage !== page) {
      this.number.value = page + 1;
    }
    this.drawnPage = page;
    this.pager.style.display = pages > 1 ? "" : "none";
    // Not disabled: a disabled button loses the focus, and the keys then reach the notebook.
    for (const button of this.back) button.setAttribute("aria-disabled", page <= 0);
    for (const button of this.on) button.setAttribute("aria-disabled", page >= pages - 1);
  }
}

export default {
  render({ model, el }) {
    const table = new Table(model, el);
    return () => table.remove();
  },
};
