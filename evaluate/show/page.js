// Whatever carries data-t tells it in the line at the foot of the page: under the mouse, or a finger.
// A link to what is folded away opens it.
(function () {
  const line = document.getElementById("told");
  let lit = null;
  function tell(event) {
    const cell = event.target instanceof Element ? event.target.closest("[data-t]") : null;
    if (lit) lit.classList.remove("on");
    lit = cell;
    line.textContent = cell ? cell.dataset.t : "";
    if (cell) cell.classList.add("on");
  }
  function unfold() {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    if (target instanceof HTMLDetailsElement) target.open = true;
  }
  window.addEventListener("hashchange", unfold);
  unfold();
  document.addEventListener("pointerover", tell);
  document.addEventListener("pointerdown", tell);
})();
