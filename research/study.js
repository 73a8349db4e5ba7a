// SPDX-License-Identifier: GPL-3.0-or-later
// The page of a study: plays pairs of films, keeps answers in the browser, saves them as a file.
"use strict";
const at = id => document.getElementById(id);
const study = JSON.parse(at("data").textContent), KEPT = "thunder study " + study.study;
const watched = new Set(); // films seen to their end
let judge = "", answers = {}, place = 0, unsaved = false;
try {
  ({ judge, answers } = JSON.parse(localStorage.getItem(KEPT)) || { judge, answers });
} catch (error) {
  // this browser keeps nothing: saving the file does
}

function make(kind, about, ...content) {
  const made = Object.assign(document.createElement(kind), about);
  made.append(...content);
  return made;
}

function say(text) { at("message").textContent = text; }

for (const [name, text] of Object.entries(study.questions)) {
  const scale = make("div", { className: "scale" }, ...study.scale.map((label, number) =>
    make("label", {}, make("input", { type: "radio", name, value: number - 3 }), label)));
  at("questions").append(make("fieldset", {}, make("legend", {}, text), scale));
}
const inputs = [...document.querySelectorAll("#questions input")];

function open(number) {
  place = number;
  const { pair, films } = study.pairs[place], given = answers[pair] || {};
  films.forEach((film, side) => {
    at("AB"[side]).src = "films/" + film;
    if (isComplete(given)) watched.add(film);
  });
  for (const input of inputs) input.checked = given[input.name] === Number(input.value);
  say("");
  update();
  scrollTo(0, 0);
}

function isComplete(given) { return Object.keys(study.questions).every(name => name in (given || {})); }

function update() {
  const { pair, films } = study.pairs[place], left = study.pairs.filter(each => !isComplete(answers[each.pair])).length;
  films.forEach((film, side) => {
    at("AB"[side] + "-state").textContent = "AB"[side] + (watched.has(film) ? "" : ": watch it to the end");
  });
  at("progress").textContent = `Pair ${place + 1} of ${study.pairs.length}` + (left ? "" : ": all are answered. Save your answers, and send the file to whoever asked you.");
  for (const input of inputs) input.disabled = !films.every(film => watched.has(film));
  at("next").disabled = !isComplete(answers[pair]) || place + 1 === study.pairs.length;
  at("back").disabled = place === 0;
  at("save").textContent = left ? `Save Answers (${left} pairs left)` : "Save Answers";
}

function answer(input) {
  const { pair } = study.pairs[place];
  answers[pair] = { ...answers[pair], [input.name]: Number(input.value) };
  unsaved = true;
  try {
    localStorage.setItem(KEPT, JSON.stringify({ judge, answers }));
  } catch (error) {
    say("This browser keeps no answers: save them before you close the page.");
  }
  update();
}

function save() {
  const text = JSON.stringify({ study: study.study, judge, answers }, null, 1) + "\n";
  const file = new Blob([text], { type: "application/json" });
  const name = judge.replace(/[^\p{L}\p{N}_-]+/gu, "_");
  const link = make("a", { href: URL.createObjectURL(file), download: `votes_${name}.json` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  unsaved = false;
  say(`Saved as votes_${name}.json among your downloads.`);
}

function begin() {
  at("start").hidden = true;
  at("pair").hidden = false;
  const first = study.pairs.findIndex(each => !isComplete(answers[each.pair]));
  open(Math.max(first, 0));
}

for (const [side, other] of ["AB", "BA"]) {
  at(side).addEventListener("ended", () => { watched.add(study.pairs[place].films["AB".indexOf(side)]); update(); });
  at(side).addEventListener("play", () => at(other).pause());
  at(side).addEventListener("error", () => say("A film cannot be played: keep the folder “films” beside this page, or try another browser."));
}
at("questions").addEventListener("change", event => answer(event.target));
at("next").addEventListener("click", () => open(place + 1));
at("back").addEventListener("click", () => open(place - 1));
at("save").addEventListener("click", save);
at("start").addEventListener("submit", event => {
  event.preventDefault();
  judge = at("judge").value.trim();
  if (judge) begin();
});
addEventListener("beforeunload", event => { if (unsaved) event.preventDefault(); });
if (judge) { at("judge").value = judge; begin(); }
