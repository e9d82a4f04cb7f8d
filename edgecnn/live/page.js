// What the page does. It talks to the device alone; all that comes from there is written as text, never as HTML.
// Ages are reckoned by the device's clock. This browser's clock only adds how long ago something arrived.

const $ = (id) => document.getElementById(id);
const calm = matchMedia("(prefers-reduced-motion: reduce)");

const SILENCE_MS = 2500; // the device says something twice a second
const RETRY_MS = [500, 5000];
const MOST_LISTED = 6;
const STAGES = ["capture", "wait", "prepare", "invoke", "decode", "track", "delay"];
const TROUBLES = new Set(["vanished", "frozen", "hung", "failed", "stale", "damaged", "unsaved"]);
const RELIEFS = new Set(["back", "thawed", "fresh"]);

let socket = null;
let retryMs = RETRY_MS[0];
let heardAt = performance.now(); // when anything arrived
let ended = false;
let hello = { places: [], lowest_threshold: 0.05 };
let threshold = { shown: 0.05, device: null };
let frame = null; // {words, ageMs, tripMs, at}: the newest picture that is drawn
let numbers = null; // {..., at}
let log = { lines: [], at: 0 };
let sliding = null;

// the connection

function connect() {
  const url = new URL("live", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  url.search = location.search;
  const mine = new WebSocket(url);
  socket = mine;
  mine.binaryType = "arraybuffer";
  heardAt = performance.now();
  mine.onmessage = (event) => {
    if (mine !== socket) return;
    heardAt = performance.now();
    if (typeof event.data === "string") hear(JSON.parse(event.data));
    else see(mine, event.data);
  };
  mine.onclose = (event) => {
    if (mine !== socket) return;
    socket = null;
    ended ||= event.code === 1001; // until it is heard of again
    setTimeout(connect, retryMs);
    retryMs = Math.min(retryMs * 1.7, RETRY_MS[1]);
    refresh();
  };
}

function say(words) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(words));
}

function hear(said) {
  if (said.kind === "hello") {
    hello = said;
    retryMs = RETRY_MS[0];
    ended = false;
    frame = numbers = null;
    document.title = `${said.title} · edgecnn live`;
    $("title").textContent = said.title;
    $("threshold").min = said.lowest_threshold;
    take(said.threshold);
    if (document.hidden) say({ looking: false });
    // the token is in a cookie now, and need not stand in the address and the history
    if (location.search) history.replaceState(null, "", location.pathname);
  } else if (said.kind === "numbers") {
    numbers = { ...said, at: performance.now() };
    tell();
    drawGraph();
  } else if (said.kind === "log") {
    log = { lines: said.lines, at: performance.now() };
    writeLog();
  } else if (said.kind === "threshold") {
    take(said.threshold);
  }
  refresh();
}

// A picture: its age and the usual time on the way (ms), the length of the words, the words, a JPEG.
async function see(from, data) {
  const view = new DataView(data);
  const length = view.getUint32(16);
  const at = performance.now();
  try {
    const words = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 20, length)));
    const image = await createImageBitmap(new Blob([new Uint8Array(data, 20 + length)], { type: "image/jpeg" }));
    const canvas = $("picture");
    if (canvas.width !== image.width || canvas.height !== image.height) {
      canvas.width = image.width;
      canvas.height = image.height;
    }
    canvas.getContext("2d").drawImage(image, 0, 0);
    image.close();
    frame = { words, ageMs: view.getFloat64(0), tripMs: view.getFloat64(8), at };
    drawOverlay();
    refresh();
  } finally {
    if (from === socket) say({ got: true });
  }
}

// boxes and places over the picture

function colour(id) {
  return `hsl(${((0.33 + id * 0.6180339887498949) % 1) * 360} 90% 62%)`; // hues as in edgecnn.tasks.detection.drawing
}

// What the device shows of tracks goes, unless the slider is higher here than it is there.
function passes(box) {
  const agreed = threshold.device !== null && threshold.shown <= threshold.device;
  return box.score >= threshold.shown || (box.track !== undefined && agreed);
}

function drawOverlay() {
  const canvas = $("overlay");
  const ratio = devicePixelRatio || 1;
  const { width, height } = canvas.getBoundingClientRect();
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  if (!frame) return;
  const [wide, high] = frame.words.size;
  const scale = { x: width / wide, y: height / high };
  for (const place of hello.places) drawPlace(pen, place, width, height, scale);
  const boxes = frame.words.boxes ?? [];
  const shown = boxes.filter(passes);
  for (const box of [...shown].reverse()) drawFrame(pen, box, scale);
  const taken = [];
  for (const box of shown) drawLabel(pen, box, scale, width, height, taken); // the best first: labels never overlap
  $("frame").dataset.boxes = shown.length;
  const hidden = boxes.length - shown.length;
  $("hidden-count").textContent = hidden ? `${hidden} below` : "";
}

function drawFrame(pen, box, scale) {
  const [left, top, right, bottom] = box.xyxy;
  const edges = [left * scale.x, top * scale.y, (right - left) * scale.x, (bottom - top) * scale.y];
  pen.setLineDash(box.guess ? [5, 5] : []);
  pen.strokeStyle = "rgb(0 0 0 / .45)";
  pen.lineWidth = 4;
  pen.strokeRect(...edges);
  pen.strokeStyle = colour(box.id);
  pen.lineWidth = 2;
  pen.strokeRect(...edges);
  pen.setLineDash([]);
}

function drawLabel(pen, box, scale, width, height, taken) {
  const size = width < 520 ? 10.5 : 12.5;
  const fonts = [`600 ${size}px system-ui, sans-serif`, `${size}px system-ui, sans-serif`];
  const name = `${box.label}${box.track ? ` #${box.track}` : ""}`;
  const score = ` ${Math.round(box.score * 100)}%`;
  pen.font = fonts[0];
  const nameWide = pen.measureText(name).width;
  pen.font = fonts[1];
  const wide = nameWide + pen.measureText(score).width + size;
  const high = Math.round(size * 1.6);
  const [left, top, right, bottom] = box.xyxy.map((value, i) => value * (i % 2 ? scale.y : scale.x));
  const x = Math.max(0, Math.min(left - 1, width - wide));
  // above it, below it, inside it; where all are taken, the list beside the picture names it
  const free = [top - high, bottom, bottom - top > 3 * high && right - left > wide ? top : -1].find(
    (y) => y >= 0 && y + high <= height && !taken.some((other) => x < other.x + other.wide && other.x < x + wide && y < other.y + high && other.y < y + high),
  );
  if (free === undefined) return;
  taken.push({ x, y: free, wide });
  pen.fillStyle = colour(box.id);
  pen.beginPath();
  pen.roundRect(x, free, wide, high, 4);
  pen.fill();
  pen.fillStyle = "#101416";
  pen.textBaseline = "middle";
  pen.fillText(score, x + size / 2 + nameWide, free + high / 2 + 0.5);
  pen.font = fonts[0];
  pen.fillText(name, x + size / 2, free + high / 2 + 0.5);
}

function drawPlace(pen, place, width, height, scale) {
  const points = place.points.map(([x, y]) => (place.fractions ? [x * width, y * height] : [x * scale.x, y * scale.y]));
  pen.beginPath();
  points.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
  if (place.closed) pen.closePath();
  pen.fillStyle = "rgb(255 255 255 / .10)";
  if (place.closed) pen.fill();
  pen.strokeStyle = "rgb(0 0 0 / .4)";
  pen.lineWidth = 4;
  pen.stroke();
  pen.setLineDash([7, 5]);
  pen.strokeStyle = "#fff";
  pen.lineWidth = 2;
  pen.stroke();
  pen.setLineDash([]);
  pen.font = "600 12px system-ui, sans-serif";
  pen.textBaseline = "alphabetic";
  const x = Math.min(...points.map((point) => point[0])) + 8;
  const y = Math.max(...points.map((point) => point[1])) - 8;
  pen.lineWidth = 3;
  pen.strokeStyle = "rgb(0 0 0 / .6)";
  pen.strokeText(place.name, x, y);
  pen.fillStyle = "#fff";
  pen.fillText(place.name, x, y);
}

// the age

function ms(value) {
  if (value === null || value === undefined) return "–";
  if (value >= 2000) return `${(value / 1000).toFixed(value >= 100000 ? 0 : 1)} s`;
  return `${value >= 100 ? Math.round(value) : value.toFixed(value >= 10 ? 1 : 2)} ms`;
}

// How old what is shown is by now: at sending, on the way (at most), and since.
function shownAge() {
  return frame && frame.ageMs + frame.tripMs + performance.now() - frame.at;
}

function drawGraph() {
  const canvas = $("graph");
  const ratio = devicePixelRatio || 1;
  const { width, height } = canvas.getBoundingClientRect();
  if (!numbers || !width) return;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const style = getComputedStyle(document.documentElement);
  const ink = (name) => style.getPropertyValue(`--${name}`).trim();
  const limit = numbers.statistics.max_age_ms ?? null;
  const oldest = Math.max(...numbers.oldest_ms.map((value) => value ?? 0), 1);
  const limitFits = limit !== null && limit <= 5 * oldest; // one far above would press the ages to the floor
  const worst = limitFits ? Math.max(oldest, limit) : oldest;
  const step = niceStep(worst * 1.08);
  const highest = Math.ceil((worst * 1.08) / step) * step;
  const area = { left: 38, right: width - 2, top: 8, bottom: height - 20 };
  const count = numbers.middle_ms.length;
  const x = (i) => area.left + ((i + 0.5) / count) * (area.right - area.left);
  const y = (value) => area.bottom - (value / highest) * (area.bottom - area.top);

  pen.font = "11px system-ui, sans-serif";
  pen.fillStyle = ink("soft");
  pen.strokeStyle = ink("line");
  pen.lineWidth = 1;
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (let value = 0; value <= highest + step / 2; value += step) {
    level(pen, area, Math.round(y(value)) + 0.5);
    pen.fillText(value >= 1000 ? `${value / 1000} s` : `${value}`, area.left - 7, y(value));
  }
  pen.textBaseline = "alphabetic";
  pen.textAlign = "left";
  pen.fillText(`${numbers.window_s} s ago`, area.left, height - 4);
  pen.textAlign = "right";
  pen.fillText("now", area.right, height - 4);

  gaps(pen, area, x, ink);
  pen.fillStyle = pen.strokeStyle = ink("accent");
  for (const run of runs(numbers.oldest_ms)) {
    pen.globalAlpha = 0.2;
    pen.beginPath();
    run.forEach((i) => pen.lineTo(x(i), y(numbers.oldest_ms[i])));
    run.toReversed().forEach((i) => pen.lineTo(x(i), y(numbers.middle_ms[i])));
    pen.fill();
    pen.globalAlpha = 0.09;
    pen.beginPath();
    pen.moveTo(x(run[0]), area.bottom);
    run.forEach((i) => pen.lineTo(x(i), y(numbers.middle_ms[i])));
    pen.lineTo(x(run.at(-1)), area.bottom);
    pen.fill();
    pen.globalAlpha = 1;
    pen.lineWidth = 2;
    pen.lineJoin = "round";
    pen.beginPath();
    run.forEach((i) => pen.lineTo(x(i), y(numbers.middle_ms[i])));
    pen.stroke();
  }
  rule(pen, area, y, numbers.p50_ms, ink("accent"), [2, 3]);
  rule(pen, area, y, numbers.p99_ms, ink("p99"), [2, 3]);
  if (limitFits) rule(pen, area, y, limit, ink("bad"), []);
  canvas.setAttribute(
    "aria-label",
    `Age over the last minute: half of the results up to ${ms(numbers.p50_ms)}, 99 of 100 up to ${ms(numbers.p99_ms)}`,
  );
}

function level(pen, area, y) {
  pen.beginPath();
  pen.moveTo(area.left, y);
  pen.lineTo(area.right, y);
  pen.stroke();
}

function rule(pen, area, y, value, ink, dashes) {
  if (value === null) return;
  pen.strokeStyle = ink;
  pen.lineWidth = 1.5;
  pen.setLineDash(dashes);
  level(pen, area, y(value));
  pen.setLineDash([]);
}

// Where results stopped coming for more than a second, the ground turns red.
function gaps(pen, area, x, ink) {
  const values = numbers.oldest_ms;
  const first = values.findIndex((value) => value !== null);
  if (first < 0) return;
  const half = (x(1) - x(0)) / 2;
  pen.fillStyle = ink("bad");
  pen.globalAlpha = 0.13;
  const none = values.map((value, i) => (value === null && i > first ? 0 : null));
  for (const run of runs(none)) {
    if (run.length * numbers.step_s * 1000 < Math.min(numbers.stale_ms, 1500)) continue;
    pen.fillRect(x(run[0]) - half, area.top, x(run.at(-1)) - x(run[0]) + 2 * half, area.bottom - area.top);
  }
  pen.globalAlpha = 1;
}

// Places of numbers that stand side by side.
function runs(values) {
  const found = [];
  let run = [];
  values.forEach((value, i) => {
    if (value !== null) run.push(i);
    if ((value === null || i === values.length - 1) && run.length) {
      found.push(run);
      run = [];
    }
  });
  return found;
}

function niceStep(highest) {
  const rough = highest / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((step) => step >= rough);
}

// numbers and lists

function element(name, text, kind) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function tell() {
  const told = numbers.statistics;
  $("p50").textContent = ms(numbers.p50_ms);
  $("p99").textContent = ms(numbers.p99_ms);
  $("limit-entry").hidden = (told.max_age_ms ?? null) === null;
  $("limit").textContent = ms(told.max_age_ms);
  const restarts = typeof told.restarts === "object" ? told.restarts : { source: told.restarts };
  const tiles = [
    ["camera fps", told.fps?.captured?.toFixed(1), "frames that the camera gives each second"],
    ["results/s", told.fps?.results?.toFixed(1), "frames that the model answers each second"],
    ["frames", told.captured?.toLocaleString("en"), "that the camera gave so far"],
    ["dropped", told.dropped?.toLocaleString("en"), "frames that no model saw, because a newer one was there first"],
    ["reopened", restarts?.source, "how often the source was opened again"],
    ["restarted", restarts?.interpreter, "how often the interpreter was replaced"],
    ["damaged", told.damaged || undefined, "frames that could not be used"],
    ["repeated", told.repeated || undefined, "frames left out because the same picture came again"],
  ];
  $("tiles").replaceChildren(
    ...tiles
      .filter(([, value]) => value !== undefined && value !== null)
      .map(([name, value, title]) => {
        const tile = element("li");
        tile.title = title;
        tile.append(element("b", value), element("span", name));
        return tile;
      }),
  );
  const stages = Object.entries(told.stages_ms ?? {}).filter(([, times]) => times);
  stages.sort(([one], [other]) => STAGES.indexOf(one) - STAGES.indexOf(other));
  const short = (value) => (value === undefined ? "–" : value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2));
  $("stages").replaceChildren(
    ...stages.map(([name, times]) => {
      const row = element("tr", undefined, name === "delay" ? "total" : "");
      const head = element("th", name === "delay" ? "age at the result" : name);
      head.scope = "row";
      row.append(head, ...["p50", "p90", "p99", "max"].map((key) => element("td", short(times[key]))));
      return row;
    }),
  );
}

function writeSeen() {
  const words = frame?.words ?? {};
  const boxes = (words.boxes ?? []).filter(passes);
  const entries = [
    ...boxes.slice(0, MOST_LISTED).map((box) => [box.label, box.track ? `#${box.track}` : "", box.score, colour(box.id), percent(box.score)]),
    ...(words.bars ?? []).map((bar) => [bar.label, "", bar.score, null, percent(bar.score)]),
    ...(words.values ?? []).map((one) => [one.label, "", null, null, one.value.toPrecision(4)]),
  ];
  $("seen").replaceChildren(
    ...entries.map(([label, track, share, ink, text]) => {
      const row = element("li");
      const bar = element("i");
      if (share === null) bar.hidden = true;
      else bar.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`;
      if (ink) bar.style.background = ink;
      const name = element("span", label, "label");
      if (track) name.append(element("small", track));
      row.append(name, element("span", text, "score"), bar);
      return row;
    }),
  );
  if (boxes.length > MOST_LISTED) $("seen").append(element("li", `and ${boxes.length - MOST_LISTED} more`, "more"));
  $("nothing").hidden = entries.length > 0;
}

function percent(score) {
  return `${(score * 100).toFixed(0)} %`;
}

function writeLog() {
  const gone = (performance.now() - log.at) / 1000;
  $("quiet").hidden = log.lines.length > 0;
  $("log").hidden = !log.lines.length;
  $("log").replaceChildren(
    ...log.lines.toReversed().map((line) => {
      const row = element("li", undefined, TROUBLES.has(line.kind) ? "bad" : RELIEFS.has(line.kind) ? "good" : "");
      row.append(element("span", ago(line.ago_s + gone), "when"), element("b", line.kind), element("span", line.text));
      return row;
    }),
  );
}

function ago(seconds) {
  if (seconds < 60) return `${Math.max(0, Math.floor(seconds))} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  return `${Math.floor(seconds / 3600)} h ago`;
}

// the state, and what is refreshed while nothing arrives

function state() {
  if (!socket || socket.readyState !== WebSocket.OPEN) return ended ? "ended" : frame ? "lost" : "connecting";
  if (performance.now() - heardAt > SILENCE_MS) return "lost";
  if (!frame) return "waiting";
  return numbers?.is_stale ? "stale" : "live";
}

const STATES = {
  connecting: ["Connecting", "Connecting", "to the device"],
  waiting: ["Waiting", "Waiting", "for the first picture"],
  live: ["Live", "", ""],
  stale: ["Stale", "STALE", ""],
  lost: ["Connection lost", "NO CONNECTION", "trying again"],
  ended: ["Ended", "ENDED", "the camera has been stopped"],
};

function refresh() {
  const now = state();
  const [word, veil, text] = STATES[now];
  if (document.documentElement.dataset.state !== now) {
    document.documentElement.dataset.state = now;
    $("state").textContent = word;
    $("veil-word").textContent = veil;
  }
  const veiled = now === "stale" || (now === "lost" && frame) ? `what is shown is ${ms(shownAge())} old` : text;
  if ($("veil-text").textContent !== veiled) $("veil-text").textContent = veiled;
}

function refreshFigures() {
  refresh();
  const isNew = state() === "live";
  const delay = frame?.words.delay_ms;
  const figure = isNew ? delay : shownAge();
  const [value, unit] = ms(figure ?? null).split(" ");
  $("age").textContent = value;
  document.querySelector(".figure .unit").textContent = unit ?? "";
  document.querySelector(".figure .what").textContent = isNew ? "from capture to result" : "since capture";
  $("now").textContent = ms(shownAge());
  $("name").textContent = frame?.words.name ?? "\u00a0";
  $("threshold-row").hidden = Boolean(frame) && !frame.words.boxes;
  writeSeen();
}

function take(value) {
  threshold.device = value;
  if (value === null || sliding !== null) return;
  threshold.shown = value;
  $("threshold").value = value;
  $("threshold-value").textContent = value.toFixed(2);
  drawOverlay();
}

$("threshold").addEventListener("input", () => {
  threshold.shown = Number($("threshold").value);
  $("threshold-value").textContent = threshold.shown.toFixed(2);
  drawOverlay();
  writeSeen();
  clearTimeout(sliding); // others' sliders do not move this one while it moves
  sliding = setTimeout(() => (sliding = null), 400);
  say({ threshold: threshold.shown });
});

$("snapshot").addEventListener("click", async () => {
  const button = $("snapshot");
  button.disabled = true;
  try {
    const answer = await fetch("snapshot", { method: "POST" });
    if (!answer.ok) throw new Error(await answer.text());
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await answer.blob());
    link.download = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition"))?.[1] ?? "snapshot.jpg";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    button.textContent = answer.headers.get("Edgecnn-Saved") === "yes" ? "Kept on the device, too" : "Downloaded";
  } catch (error) {
    button.textContent = "No snapshot";
    button.title = String(error.message ?? error);
  }
  setTimeout(() => {
    button.textContent = "Snapshot";
    button.disabled = false;
  }, 1500);
});

document.addEventListener("visibilitychange", () => {
  heardAt = performance.now();
  say({ looking: !document.hidden });
});

new ResizeObserver(() => {
  drawOverlay();
  drawGraph();
}).observe($("frame"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawGraph);

setInterval(() => {
  if (!document.hidden && socket && performance.now() - heardAt > 2 * SILENCE_MS) {
    socket.close();
    socket.onclose({ code: 1006 }); // a network that is gone does not say so for minutes
  }
  refresh();
}, 200);
setInterval(refreshFigures, calm.matches ? 1000 : 250);
setInterval(writeLog, 5000);
connect();
