(function () {
  "use strict";
  var box = document.getElementById("slabs");
  var slabs = box ? Array.from(box.querySelectorAll(".slab")) : [];
  if (slabs.length < 2) { return; }
  var slider = document.getElementById("level");
  var shown = document.getElementById("level-shown");
  var buttons = Array.from(box.querySelectorAll(".sheet button"));
  function show(place) {
    var now = Math.min(Math.max(place, 1), slabs.length);
    slabs.forEach(function (slab, i) { slab.classList.toggle("now", i + 1 === now); });
    buttons.forEach(function (button) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.level) === now));
    });
    slider.value = String(now);
    slider.setAttribute("aria-valuetext", slabs[now - 1].dataset.where);
    shown.textContent = now + " of " + slabs.length;
  }
  slider.addEventListener("input", function () { show(Number(slider.value)); });
  box.querySelectorAll("[data-step]").forEach(function (button) {
    button.addEventListener("click", function () {
      show(Number(slider.value) + Number(button.dataset.step));
    });
  });
  buttons.forEach(function (button) {
    button.addEventListener("click", function () { show(Number(button.dataset.level)); });
  });
  box.querySelectorAll(".pair").forEach(function (pair) {
    pair.addEventListener("click", function () { slider.focus(); });
  });
  box.classList.add("js");
  show(Number(slider.value));
})();
