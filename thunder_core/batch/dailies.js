// SPDX-License-Identifier: GPL-3.0-or-later
// The page of a night's bake: an index of lines, the takes of the chosen one beside its voice, keys, and picks as a file.
// What comes from a bake is set as text and never as markup; addresses come ready from dailies.py.
"use strict";

const FPS = 25, PEAKS = 100, UNIT = 0.25; // curves and peaks a second; millimetres that a step of a curve stands for
const MARKS = { good: "✓", check: "?", poor: "!" };
const visible = text => text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]|\p{Cs}/gu,
  letter => "\\u" + letter.charCodeAt(0).toString(16).padStart(4, "0"));
const data = JSON.parse(document.getElementById("data").textContent, (_, value) => typeof value === "string" ? visible(value) : value);
const lines = data.lines, at = id => document.getElementById(id);
const largest = (values, least) => values.reduce((most, value) => Math.max(most, value), least);
const bytes = text => Uint8Array.from(atob(text || ""), letter => letter.charCodeAt(0));
const element = (kind, about, ...parts) => {
  const made = Object.assign(document.createElement(kind), about);
  made.append(...parts);
  return made;
};

let line = null, chosen = 0, curves = [], peaks = null, rows = [];
let silentSince = null, silentFrom = 0, soundFails = false, unsaved = false;
const sound = new Audio(), film = element("video", { playsInline: true, controls: false });

// ---- picks: by the name of a line, the hash of a take's curves, kept by this browser until they are saved as a file

const KEPT = "thunder picks of " + location.pathname;
let picks = new Map(), browserKeeps = true;
try {
  picks = new Map(JSON.parse(localStorage.getItem(KEPT) || "[]"));
} catch (error) {
  browserKeeps = false;
}
const known = new Map(lines.map(each => [each.name, each]));
const lost = [...picks.keys()].filter(name => known.has(name) && !pickedOf(known.get(name)));
lost.forEach(name => picks.delete(name));

function pickedOf(each) { return each.takes.find(take => take.hash && take.hash === picks.get(each.name)); }

function pick(goOn) {
  const take = line && line.takes[chosen];
  if (!take || !take.hash) return;
  if (!goOn && picks.get(line.name) === take.hash) picks.delete(line.name); else picks.set(line.name, take.hash);
  unsaved = true;
  try { localStorage.setItem(KEPT, JSON.stringify([...picks])); } catch (error) { browserKeeps = false; }
  say(browserKeeps ? "" : "This browser keeps no picks: save them before you close the page");
  showIndex(line);
  showChosen();
  showCounts();
  if (goOn) step(1);
}

function save() {
  const made = lines.flatMap(each => {
    const take = pickedOf(each);
    return take ? [{ job: each.name, take: take.name, curves_sha256: take.hash }] : [];
  });
  const file = new Blob([JSON.stringify({ picks: made }, null, 1) + "\n"], { type: "application/json" });
  const link = element("a", { href: URL.createObjectURL(file), download: "picks.json" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  unsaved = false;
  const folder = location.protocol === "file:" ? decodeURI(location.pathname).replace(/\/[^/]*$/, "").replace(/^\/(?=[A-Za-z]:)/, "") : "THIS PAGE'S FOLDER";
  say(`${made.length} ${made.length === 1 ? "pick" : "picks"} saved as picks.json. To commit: python bake.py --picks picks.json --out "${folder}"`);
}

// ---- the index

const gradeOf = each => (pickedOf(each) || each.takes[0] || {}).grade || "";
const tests = {
  grade: each => !at("grade").value || gradeOf(each) === at("grade").value || each.state === at("grade").value,
  warned: each => !at("warned").checked || each.warnings.length > 0 || Boolean(each.sentence),
  open: each => !at("open").checked || (each.takes.length > 0 && !pickedOf(each)),
  search: each => (each.name + " " + each.text + " " + each.voice).toLowerCase().includes(at("search").value.trim().toLowerCase()),
};
const isShown = each => Object.values(tests).every(test => test(each));

function showIndex(each) {
  const take = pickedOf(each), grade = each.takes.length ? gradeOf(each) : each.state;
  each.row.replaceChildren(
    element("span", { className: "mark " + (each.takes.length ? grade : each.sentence ? "failed" : "quiet"), title: grade },
      each.takes.length ? MARKS[grade] || "·" : each.sentence ? "✕" : "…"),
    element("span", { title: each.name }, each.name),
    element("span", { className: take ? "picked" : each.warnings.length ? "warning" : "quiet" },
      take ? "✓ " + take.name : each.seconds ? each.seconds.toFixed(1) + " s" : each.state));
}

function filter() {
  let count = 0;
  for (const each of lines) {
    each.row.hidden = !isShown(each);
    count += !each.row.hidden;
  }
  at("none").hidden = count > 0;
  showCounts();
}

function showCounts() {
  const shown = lines.filter(each => !each.row.hidden).length;
  at("shown").textContent = shown === lines.length ? `${shown} lines` : `${shown} of ${lines.length} lines`;
  const count = lines.filter(pickedOf).length;
  at("save").textContent = `Save ${count} ${count === 1 ? "Pick" : "Picks"}`;
  at("save").disabled = !count;
}

function step(by) {
  const shown = lines.filter(each => !each.row.hidden), place = shown.indexOf(line);
  const next = shown[place < 0 ? 0 : place + by];
  if (next) open(next);
  else say(by > 0 ? "This is the last line that is shown" : "This is the first line that is shown");
}

// ---- the chosen line

function open(each) {
  pause();
  if (line) line.row.removeAttribute("aria-current");
  line = each;
  line.row.setAttribute("aria-current", "true");
  line.row.scrollIntoView({ block: "nearest" });
  history.replaceState(null, "", "#" + encodeURIComponent(line.name));
  const picked = line.takes.indexOf(pickedOf(line));
  chosen = Math.max(0, picked);
  curves = line.takes.map(take => ({ opening: bytes(take.opening), width: bytes(take.width) }));
  peaks = bytes(line.peaks);
  soundFails = !line.sound;
  silentFrom = 0;
  say("");
  if (line.sound) sound.src = line.sound; else sound.removeAttribute("src");
  const main = at("line");
  main.replaceChildren(element("h2", {}, line.name));
  if (line.text) main.append(element("p", { className: "said" }, "“" + line.text + "”"));
  if (line.sentence) main.append(element("p", { className: "sentence" }, line.sentence));
  if (!line.takes.length) main.append(element("p", {}, [line.state, line.doing].filter(Boolean).join(": ")));
  main.append(...line.warnings.map(text => element("p", { className: "warning" }, text)));
  if (line.takes.length && line.seconds && !line.sound) main.append(element("p", { className: "quiet" }, "This line was baked without a sound"));
  film.removeAttribute("src");
  film.hidden = true;
  if (line.takes.length) {
    const wave = element("canvas", {}), mouth = element("canvas", { id: "mouth" });
    rows = line.takes.map(takeRow);
    main.append(element("div", { id: "takes" }, element("div", { className: "voice" }, element("div", {}, mouth), wave), ...rows,
      element("div", { id: "now" })));
    wave.addEventListener("click", event => seekTo(event, wave));
    if (!line.takes[0].opening) main.append(element("p", { className: "quiet" }, "An earlier version baked this line: bake it again to see its curves"));
    draw();
    showChosen();
  }
  const about = element("p", { className: "quiet" }, line.about);
  const files = element("p", { className: "quiet" });
  line.files.forEach(([name, address], number) => files.append(number ? ", " : "", element("a", { href: address }, name)));
  const more = element("details", {}, element("summary", {}, line.sheet ? "Contact sheet and files" : "Files"), files);
  if (line.sheet) more.addEventListener("toggle", () => more.querySelector("img") ||
    more.append(element("a", { href: line.sheet }, element("img", { src: line.sheet, alt: "The takes of " + line.name + " side by side" }))));
  main.append(about, ...(line.files.length ? [more] : []));
  main.scrollTop = 0;
}

function takeRow(take, number) {
  const canvas = element("canvas", {}), button = element("button", { className: "pick" }, "Pick");
  const title = element("div", {}, element("kbd", {}, String(number + 1)), " ", element("strong", {}, take.name), " ",
    element("span", { className: take.grade || "quiet", title: `Lip-Sync ${take.score} of 100` }, take.grade || take.score), " ", button);
  if (take.reason) title.append(element("p", { className: take.grade }, MARKS[take.grade] + " " + take.reason));
  const words = [take.words, take.file, "seed " + take.seed].filter(Boolean).join(" · ");
  title.append(element("p", { className: "quiet", title: words }, words));
  const row = element("div", { className: "take" }, title, canvas);
  row.addEventListener("click", event => {
    choose(number);
    if (event.target === button) pick(false);
    if (event.target === canvas) seekTo(event, canvas);
  });
  return row;
}

function choose(number) {
  if (!line || !line.takes[number]) return;
  chosen = number;
  rows[chosen].scrollIntoView({ block: "nearest" });
  showChosen();
}

function showChosen() {
  const picked = pickedOf(line), take = line.takes[chosen];
  rows.forEach((row, number) => {
    row.toggleAttribute("aria-current", number === chosen);
    const button = row.querySelector(".pick"), isPicked = line.takes[number] === picked;
    button.textContent = isPicked ? "✓ Picked" : "Pick";
    button.classList.toggle("picked", isPicked);
    button.disabled = !line.takes[number].hash;
  });
  if (take && take.film) {
    if (film.getAttribute("src") !== take.film) film.src = take.film;
    film.hidden = false;
    film.currentTime = time();
    if (isPlaying()) film.play().catch(() => {});
  } else {
    film.pause();
    film.hidden = true;
  }
  showTime();
}

// ---- pictures of what a take does

const colour = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name);

function paper(canvas) {
  const scale = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  return [pen, width, height];
}

// A mouth around x, y: its corners `width` mm apart, its lips `opening` mm; scale: pixels a millimetre.
function drawMouth(pen, x, y, opening, width, scale) {
  const half = width / 2 * scale, up = opening * 0.4 * scale, down = opening * 0.6 * scale, lip = 4.5 * scale;
  const shape = (above, below) => {
    pen.beginPath();
    pen.moveTo(x - half, y);
    pen.bezierCurveTo(x - half / 2, y - above * 4 / 3, x + half / 2, y - above * 4 / 3, x + half, y);
    pen.bezierCurveTo(x + half / 2, y + below * 4 / 3, x - half / 2, y + below * 4 / 3, x - half, y);
  };
  shape(up + lip, down + lip * 1.3);
  pen.fillStyle = "#c66a62";
  pen.fill();
  shape(up, down);
  pen.fillStyle = "#2a0f10";
  pen.fill();
  if (opening < 0.6) {
    pen.strokeStyle = "#2a0f10";
    pen.stroke();
  } else if (opening > 5) {
    pen.save();
    pen.clip();
    pen.fillStyle = "#eee";
    pen.fillRect(x - half * 0.7, y - up - 2, half * 1.4, 2 + Math.min(up, 3 * scale) + 1);
    pen.restore();
  }
}

function draw() {
  const seconds = line.seconds || 1;
  const [pen, width, height] = paper(at("takes").querySelector(".voice>canvas"));
  const loudest = largest(peaks, 12);
  pen.fillStyle = colour("quiet");
  for (let x = 0; x < width; x++) {
    const part = peaks.subarray(x / width * seconds * PEAKS, Math.max((x + 1) / width * seconds * PEAKS, x / width * seconds * PEAKS + 1));
    const tall = largest(part, 0) / loudest * (height - 18);
    pen.fillRect(x, (height - 14 - tall) / 2, 1, Math.max(1, tall));
  }
  pen.font = "11px system-ui";
  const every = [0.5, 1, 2, 5, 10, 30, 60, 300].find(each => width * each / seconds > 60) || 600;
  for (let second = 0; second < seconds; second += every) pen.fillText(second + " s", second / seconds * width + 2, height - 2);
  line.takes.forEach((take, number) => drawTake(rows[number].querySelector("canvas"), take, curves[number], seconds));
}

function drawTake(canvas, take, { opening, width: wide }, seconds) {
  const [pen, width, height] = paper(canvas), mouths = 40, base = height - 3;
  if (!opening.length) return;
  const x = frame => frame / FPS / seconds * width;
  pen.fillStyle = colour("hot") + "28";
  for (const [begin, end] of take.drifts) pen.fillRect(begin / seconds * width, mouths, Math.max(2, (end - begin) / seconds * width), height - mouths);
  const tallest = Math.max(40, ...curves.map(each => largest(each.opening, 0)));
  pen.beginPath();
  pen.moveTo(0, base);
  opening.forEach((value, frame) => pen.lineTo(x(frame), base - value / tallest * (base - mouths - 3)));
  pen.lineTo(x(opening.length - 1), base);
  pen.fillStyle = colour("curve") + "55";
  pen.fill();
  pen.strokeStyle = colour("curve");
  pen.stroke();
  const count = Math.max(1, Math.floor(width / 46));
  for (let number = 0; number < count; number++) {
    const frame = Math.min(opening.length - 1, Math.round((number + 0.5) / count * seconds * FPS));
    drawMouth(pen, (number + 0.5) / count * width, 18, opening[frame] * UNIT, wide[frame] * UNIT, 0.7);
  }
}

function showTime() {
  if (!line || !line.takes.length) return;
  const now = Math.min(time(), line.seconds), wave = at("takes").querySelector(".voice>canvas");
  at("now").style.left = wave.offsetLeft + now / (line.seconds || 1) * wave.clientWidth + "px";
  const { opening, width } = curves[chosen], [pen, wide, tall] = paper(at("mouth"));
  if (!opening.length) return;
  const place = Math.min(now * FPS, opening.length - 1), frame = Math.floor(place), next = Math.min(frame + 1, opening.length - 1);
  const between = values => (values[frame] + (values[next] - values[frame]) * (place - frame)) * UNIT;
  drawMouth(pen, wide / 2, tall * 0.4, between(opening), between(width), 1.7);
}

// ---- playing: the sound leads; where it is missing, a clock does

const isPlaying = () => silentSince !== null || !sound.paused;
const time = () => silentSince !== null ? silentFrom + (performance.now() - silentSince) / 1000 : soundFails ? silentFrom : sound.currentTime;

function play() {
  if (!line || !line.takes.length) return;
  if (time() >= line.seconds - 0.05) seek(0);
  if (soundFails) silentSince = performance.now(); else sound.play().catch(() => {});
  if (!film.hidden) film.play().catch(() => {});
  film.muted = !soundFails;
  requestAnimationFrame(follow);
}

function pause() {
  silentFrom = time();
  silentSince = null;
  sound.pause();
  film.pause();
}

function follow() {
  showTime();
  if (!isPlaying()) return;
  if (time() >= line.seconds) pause(); else requestAnimationFrame(follow);
  if (!film.hidden && Math.abs(film.currentTime - time()) > 0.12) film.currentTime = time();
}

function seek(seconds) {
  silentFrom = seconds;
  if (silentSince !== null) silentSince = performance.now();
  if (!soundFails) sound.currentTime = seconds;
  if (!film.hidden) film.currentTime = seconds;
  showTime();
}

function seekTo(event, canvas) {
  seek(Math.min(1, Math.max(0, event.offsetX / canvas.clientWidth)) * line.seconds);
}

sound.addEventListener("error", () => {
  if (!line || !line.sound || soundFails) return;
  soundFails = true;
  if (isPlaying()) silentSince = performance.now();
  say(`The sound of “${line.name}” is not beside this page, so it plays without: copy the whole folder of the bake, or bake the line again`);
});
sound.addEventListener("pause", showTime);
film.addEventListener("error", () => { film.hidden = true; });

function say(text) { at("message").textContent = text; }

// ---- keys

const KEYS = {
  " ": () => isPlaying() ? pause() : play(),
  ArrowDown: () => step(1), j: () => step(1), n: () => step(1),
  ArrowUp: () => step(-1), k: () => step(-1),
  ArrowRight: () => choose(chosen + 1), ArrowLeft: () => choose(chosen - 1),
  Enter: () => pick(true), p: () => pick(false),
  Home: () => seek(0), s: save,
  "/": () => at("search").focus(),
};
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input[type=search],select")) {
    if (event.key === "Escape" || event.key === "Enter") event.target.blur();
    return;
  }
  const act = /^[1-9]$/.test(event.key) ? () => choose(Number(event.key) - 1) : KEYS[event.key] || KEYS[event.key.toLowerCase()];
  if (!act) return;
  event.preventDefault();
  act();
  if (at("playing").checked && ["Enter", "ArrowDown", "ArrowUp", "j", "k", "n"].includes(event.key) && !isPlaying()) play();
});

// ---- the page begins

const grades = {};
for (const each of lines) {
  each.row = element("li", {});
  each.row.addEventListener("click", () => open(each));
  showIndex(each);
  const grade = each.takes.length ? gradeOf(each) : each.state;
  if (grade) grades[grade] = (grades[grade] || 0) + 1;
}
for (const grade of Object.keys(grades).sort()) at("grade").append(element("option", { value: grade }, `${grade} (${grades[grade]})`));
at("index").after(film);
at("index").append(...lines.map(each => each.row));
for (const id of ["search", "grade", "warned", "open"]) at(id).addEventListener("input", filter);
at("save").addEventListener("click", save);
window.addEventListener("resize", () => line && line.takes.length && (draw(), showTime()));
window.addEventListener("beforeunload", event => { if (unsaved && !browserKeeps) event.preventDefault(); });
filter();
if (lines.length) open(lines.find(each => "#" + encodeURIComponent(each.name) === location.hash) || lines.find(each => each.takes.length) || lines[0]);
if (lost.length) say(`${lost.length} ${lost.length === 1 ? "line was" : "lines were"} baked again since you picked: pick anew in ${lost.slice(0, 5).join(", ")}${lost.length > 5 ? " …" : ""}`);
if (data.refresh) setInterval(() => {
  if (!isPlaying() && !at("search").value && !at("grade").value && !at("warned").checked && !at("open").checked) location.reload();
}, data.refresh * 1000);
