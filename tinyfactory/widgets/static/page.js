// Enter in a field presses the panel's default button, as in any form of the web; in a text of
// several lines it begins a line. Keys pressed on a button or a list stay there: the notebook
// would take "b" for a new cell and "d d" for deleting one. So what has the focus may not just go:
// a tab that is left for another, a button that is hidden or disabled give it to what is nearest.
const FIELD = "input:not([type=file]):not([type=checkbox]):not([type=radio])";
const TAB = ":scope > .lm-TabBar [role=tab][aria-selected=true]";
const QUIET = "data-lm-suppress-shortcuts";

const seen = (element) => element.isConnected && element.getClientRects().length > 0;

// Around is what an element stood in, from the inside out.
const goOnNear = (around) => {
  const place = around.find(seen);
  const tab = place?.closest(".widget-tab")?.querySelector(TAB);
  if (tab && place.matches(".widget-tab, .widget-tab-contents")) return tab.focus();
  // Not the next button: Enter pressed twice would press it.
  place?.setAttribute(QUIET, "true");
  place?.setAttribute("tabindex", "-1");
  place?.focus({ preventScroll: true });
};

export default {
  render({ el }) {
    const panel = () => el.closest(".tf-panel");
    let around = [];
    const focused = ({ target }) => {
      if (!panel()?.contains(target)) return;
      if (!target.matches(":read-write")) target.setAttribute(QUIET, "true");
      const outer = (element) => element && [element, ...outer(element.parentElement)] || [];
      around = outer(target.parentElement).filter((element) => element.closest(".tf-panel"));
    };
    const lost = ({ target, relatedTarget }) => {
      if (relatedTarget || target.closest(".tf-panel") !== panel()) return;
      const inside = around;
      // Once the page has changed; who went elsewhere stays there.
      requestAnimationFrame(() => {
        const gone = !seen(target) || target.disabled;
        if (gone && document.activeElement === document.body) goOnNear(inside);
      });
    };
    const pressed = (event) => {
      const { key, target, isComposing, repeat } = event;
      if (key !== "Enter" || isComposing || repeat || !target.matches?.(FIELD)) return;
      if (event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return;
      // A panel may stand within another one; the inner one is meant.
      if (target.closest(".tf-panel") !== panel()) return;
      // After the field has told the kernel what stands in it.
      setTimeout(() => panel()?.querySelector("button.tf-default:not(:disabled)")?.click());
    };
    // Capturing: the fields of ipywidgets let no key go up.
    document.addEventListener("keydown", pressed, true);
    document.addEventListener("focusin", focused, true);
    document.addEventListener("focusout", lost, true);
    return () => {
      document.removeEventListener("keydown", pressed, true);
      document.removeEventListener("focusin", focused, true);
      document.removeEventListener("focusout", lost, true);
    };
  },
};
