// SPDX-License-Identifier: GPL-3.0-or-later
// The page of a study: plays pairs of films, keeps answers in the browser, saves them as a file.
"use strict";
const at = id => document.getElementById(id);
const study = JSON.parse(at("data").textContent), KEPT = "thunder study " + study.study;
const watched = new Set(); // films seen to their end
let judge = "", by = draw(), answers = {}, place = 0, unsaved = false;
try {
  ({ judge, answers, by = by } = JSON.parse(localStorage.getItem(KEPT)) || { judge, answers });
} catch (error) {
  // this browser keeps nothing: saving the file does
}

// tells judges of one name apart
function draw() { return [...crypto.getRandomValues(new Uint8Array(6))].map(each => each.toString(16).padStart(2, "0")).join(""); }

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

function countAnswered() { return study.pairs.filter(each => isComplete(answers[each.pair])).length; }

function update() {
  const { pair, films } = study.pairs[place], left = study.pairs.length - countAnswered();
  films.forEach((film, side) => {
    at("AB"[side] + "-state").textContent = "AB"[side] + (watched.has(film) ? "" : ": watch it to the end");
  });
  at("progress").textContent = `Pair ${place + 1} of ${study.pairs.length}` + (left ? "" : ": all are answered. Save your answers, and send the file to whoever asked you.");
  for (const input of inputs) input.disabled = !films.every(film => watched.has(film));
  at("next").disabled = !isComplete(answers[pair]) || place + 1 === study.pairs.length;
  at("back").disabled = place === 0;
  at("save").disabled = Object.keys(answers).length === 0;
  at("save").textContent = `Save Answers (${countAnswered()} of ${study.pairs.length} pairs answered)`;
}

function answer(input) {
  const { pair } = study.pairs[place];
  answers[pair] = { ...answers[pair], [input.name]: Number(input.value) };
  unsaved = true;
  try {
    localStorage.setItem(KEPT, JSON.stringify({ judge, by, answers }));
  } catch (error) {
    say("This browser keeps no answers: save them before you close the page.");
  }
  update();
}

function save() {
  const saved = new Date().toISOString(), time = saved.replace("T", "_").replace(/[:.]/g, "-").replace("Z", "");
  const text = JSON.stringify({ study: study.study, judge, by, saved, answers }, null, 1) + "\n";
  const file = new Blob([text], { type: "application/json" });
  const name = `votes_${judge.replace(/[^\p{L}\p{N}_-]+/gu, "_")}_${time}.json`; // later ones come later
  const link = make("a", { href: URL.createObjectURL(file), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  unsaved = false;
  say(`Saved as ${name} among your downloads, with ${countAnswered()} of ${study.pairs.length} pairs answered. Send the last file that you save: it alone counts.`);
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
