"use strict";
(() => {
  const gallery = document.getElementById("gallery");
  if (gallery) {
    gallery.querySelectorAll("input[name=overlay]").forEach((input) => {
      input.addEventListener("change", () => { gallery.dataset.overlay = input.value; });
    });
    const marks = gallery.querySelector("input[name=marks]");
    if (marks) {
      marks.addEventListener("change", () => { gallery.dataset.marks = marks.checked ? "on" : "off"; });
    }
  }
  const key = (cell) => {
    const text = cell.dataset.sort;
    if (text === "") return null;
    return cell.dataset.kind === "text" ? text : Number(text);
  };
  document.querySelectorAll("table.sortable").forEach((table) => {
    const body = table.tBodies[0];
    const heads = Array.from(table.tHead.rows[0].cells);
    heads.forEach((head, column) => {
      const button = head.querySelector("button");
      button.addEventListener("click", () => {
        const first = head.dataset.first || "descending";
        const other = first === "descending" ? "ascending" : "descending";
        const order = head.getAttribute("aria-sort") === first ? other : first;
        heads.forEach((each) => each.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", order);
        const sign = order === "ascending" ? 1 : -1;
        const rows = Array.from(body.rows).map((row) => [key(row.cells[column]), row]);
        rows.sort(([one], [two]) => {
          if (one === null || two === null) return (one === null) - (two === null);
          if (one === two) return 0;
          return (one < two ? -1 : 1) * sign;
        });
        body.append(...rows.map(([, row]) => row));
      });
    });
  });
})();
