// Runs before anything is drawn, so that the page never flashes in the other scheme. Also used by lib/theme.js.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");

  function apply() {
    let chosen = null;
    try {
      chosen = localStorage.getItem("sparkd.theme");
    } catch {
      // Storage is off in this browser: the system decides.
    }
    const isDark = chosen === "dark" || (chosen !== "light" && dark.matches);
    document.documentElement.dataset.theme = isDark ? "dark" : "light";
  }

  apply();
  dark.addEventListener("change", apply);
  addEventListener("sparkd-theme", apply);
})();
