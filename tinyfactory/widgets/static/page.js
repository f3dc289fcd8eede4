// Enter in a field presses the panel's default button, as in any web form; in a text area it starts a
// new line. Keys pressed on a button or a list are kept from the notebook, which takes "b" for a new
// cell and "d d" for deleting one. For the same reason the focus must stay in the panel: when a tab
// is left, or a button is hidden or disabled, the nearest element gets the focus.
const FIELD = "input:not([type=file]):not([type=checkbox]):not([type=radio])";
const TAB = ":scope > .lm-TabBar [role=tab][aria-selected=true]";
const QUIET = "data-lm-suppress-shortcuts";

const seen = (element) => element.isConnected && element.getClientRects().length > 0;

// The ancestors of an element, innermost first.
const goOnNear = (around) => {
  const place = around.find(seen);
  const tab = place?.closest(".widget-tab")?.querySelector(TAB);
  if (tab && place.matches(".widget-tab, .widget-tab-contents")) return tab.focus();
  // Not the next button: a second Enter would press it.
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
      // After the page has changed; a user who moved the focus keeps it.
      requestAnimationFrame(() => {
        const gone = !seen(target) || target.disabled;
        if (gone && document.activeElement === document.body) goOnNear(inside);
      });
    };
    const pressed = (event) => {
      const { key, target, isComposing, repeat } = event;
      if (key !== "Enter" || isComposing || repeat || !target.matches?.(FIELD)) return;
      if (event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return;
      // With a panel inside another one, the inner one counts.
      if (target.closest(".tf-panel") !== panel()) return;
      // After the field has sent its text to the kernel.
      setTimeout(() => panel()?.querySelector("button.tf-default:not(:disabled)")?.click());
    };
    // In the capture phase: the fields of ipywidgets stop key events.
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
