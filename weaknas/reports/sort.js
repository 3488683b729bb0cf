// Tables sort by the column whose head is clicked, once more the other way round.
document.addEventListener("click", (event) => {
  const head = event.target.closest("thead th");
  const body = head && head.closest("table").tBodies[0];
  if (!body) return;
  const column = head.cellIndex;
  const down = head.getAttribute("aria-sort") === "ascending";
  const value = (row) => (row.cells[column] ? row.cells[column].textContent.trim() : "");
  const order = (a, b) => {
    const [x, y] = [value(a), value(b)];
    const [p, q] = [parseFloat(x.replace(/,/g, "")), parseFloat(y.replace(/,/g, ""))];
    if (isNaN(p) !== isNaN(q)) return isNaN(p) ? 1 : -1; // what is no number comes last
    return (isNaN(p) ? x.localeCompare(y) : p - q) * (down ? -1 : 1);
  };
  for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  body.append(...[...body.rows].sort(order));
});
