"use strict";
// Inside Airflow's frame: its colours, and its rules. The frame may neither leave itself nor open windows, so
// links that lead out of it are followed by the page around it, which is of the same origin.
(() => {
  const outer = enclosing();

  function enclosing() {
    if (window.parent === window) return null;
    try {
      return window.parent.document;
    } catch {
      return null; // a page of another origin: it cannot be asked
    }
  }

  function takeTheme() {
    const classes = outer.documentElement.classList;
    const theme = classes.contains("dark") ? "dark" : classes.contains("light") ? "light" : null;
    if (theme) document.documentElement.dataset.theme = theme;
  }

  function follow(event) {
    const link = event.target.closest("a[data-airflow], a[data-outside]");
    if (!link || event.defaultPrevented) return;
    event.preventDefault();
    goto(link.href, link.hasAttribute("data-outside"));
  }

  function goto(address, outside) {
    if (!outer) {
      window.location.assign(address);
      return;
    }
    const link = outer.createElement("a");
    link.href = address;
    if (outside) {
      link.target = "_blank";
      link.rel = "noopener noreferrer";
    }
    outer.body.append(link);
    link.click();
    link.remove();
  }

  window.langaudio = { goto };
  if (!outer) return;
  takeTheme();
  new MutationObserver(takeTheme).observe(outer.documentElement, { attributeFilter: ["class"] });
  document.addEventListener("click", follow);
})();
