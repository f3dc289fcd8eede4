// Enter in a field presses the panel's default button, as in any form of the web; in a text of
// several lines it begins a line. Keys pressed on a button or a list stay there: the notebook
// would take "b" for a new cell and "d d" for deleting one.
const FIELD = "input:not([type=file]):not([type=checkbox]):not([type=radio])";

export default {
  render({ el }) {
    const panel = () => el.closest(".tf-panel");
    const focused = ({ target }) => {
      if (panel()?.contains(target) && !target.matches(":read-write")) {
        target.setAttribute("data-lm-suppress-shortcuts", "true");
      }
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
    return () => {
      document.removeEventListener("keydown", pressed, true);
      document.removeEventListener("focusin", focused, true);
    };
  },
};
