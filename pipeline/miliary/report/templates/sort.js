(function () {
  "use strict";
  var table = document.getElementById("cases");
  if (!table) { return; }
  var body = table.tBodies[0];
  var heads = Array.from(table.tHead.rows[0].cells);
  function key(row, column) {
    var cell = row.cells[column];
    var sort = cell.dataset.sort;
    if (sort === undefined) { return cell.textContent.trim().toLowerCase(); }
    return sort === "" ? null : Number(sort);
  }
  function sort(column) {
    var down = heads[column].getAttribute("aria-sort") === "ascending";
    var rows = Array.from(body.rows);
    rows.sort(function (a, b) {
      var p = key(a, column), q = key(b, column);
      // What is not known stays at the end, whichever way.
      if (p === null || q === null) { return (p === null) - (q === null); }
      var order = p < q ? -1 : p > q ? 1 : 0;
      return down ? -order : order;
    });
    rows.forEach(function (row) { body.appendChild(row); });
    heads.forEach(function (head, i) {
      if (i === column) { head.setAttribute("aria-sort", down ? "descending" : "ascending"); }
      else { head.removeAttribute("aria-sort"); }
    });
  }
  heads.forEach(function (head, i) {
    var button = head.querySelector("button");
    if (button) { button.addEventListener("click", function () { sort(i); }); }
  });
})();
