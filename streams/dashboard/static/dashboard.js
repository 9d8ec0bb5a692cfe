"use strict";
// Keeps a page up to date and draws its charts. Without it, pages say the same after a reload.

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const LOOKS = {
  stable: () => ({ stroke: style("--stable"), width: 2, dash: [6, 3] }),
  candidate: () => ({ stroke: style("--candidate"), width: 2 }),
  main: () => ({ stroke: style("--text"), width: 2 }),
  bad: () => ({ stroke: style("--bad"), width: 2 }),
  good: () => ({ stroke: style("--good"), width: 2, dash: [6, 3] }),
  range: () => ({ stroke: style("--dim"), width: 1 }),
  limit: () => ({ stroke: style("--bad"), width: 1, dash: [2, 3] }),
};

const short = (value) =>
  value == null ? "–" : Number(value.toPrecision(3)).toLocaleString("en", { maximumFractionDigits: 4 });

// Times of day, UTC, with the day on the first one and where one begins; seconds where ticks are
// closer than a minute.
function clock(_, ticks) {
  const digits = ticks.some((seconds) => seconds % 60) ? 8 : 5;
  return ticks.map((seconds, n) => {
    const [day, time] = new Date(seconds * 1e3).toISOString().split("T");
    const shown = time.slice(0, digits);
    return n === 0 || time.startsWith("00:00:00") ? `${shown}\n${day}` : shown;
  });
}

// Values without a neighbour, which no line would show.
const alone = (values) =>
  values.flatMap((value, n) => (value != null && values[n - 1] == null && values[n + 1] == null ? [n] : []));

const isDecade = (value) => Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-9;
const decades = (_, ticks) => ticks.map((tick) => (isDecade(tick) ? tick : null));

function axis(isLog, extra) {
  return { stroke: style("--dim"), grid: { stroke: style("--line"), width: 1, ...(isLog ? { filter: decades } : {}) }, ticks: { show: false }, ...extra };
}

const CHART_PX = 186; // the rest of its box is the legend's

function draw(plot) {
  const spec = JSON.parse(plot.dataset.chart);
  const isTime = spec.x_axis === "time";
  const suffix = spec.unit === "%" || spec.unit === "×" ? ` ${spec.unit}` : "";
  const options = {
    width: plot.clientWidth,
    height: CHART_PX,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC"),
    cursor: { points: { size: 6 } },
    scales: {
      x: { time: isTime, distr: isTime ? 1 : 3 },
      y: spec.y_axis === "log" ? { distr: 3 } : { range: spec.y_range ?? undefined },
    },
    axes: [
      axis(!isTime, isTime ? { values: clock, space: 80 } : { values: (_, ticks) => ticks.map((tick) => (tick == null ? "" : `${short(tick)} s`)) }),
      axis(spec.y_axis === "log", { size: 64, values: (_, ticks) => ticks.map((tick) => (tick == null ? "" : short(tick))) }),
    ],
    series: [
      isTime ? { label: "UTC", value: "{YYYY}-{MM}-{DD} {HH}:{mm}" } : { label: "seconds", value: (_, v) => short(v) },
      ...spec.series.map((line) => ({
        label: line.label, points: { show: true, size: 6, filter: () => alone(line.values) }, spanGaps: false,
        value: (_, v) => (v == null ? "–" : short(v) + suffix), ...LOOKS[line.role](),
      })),
    ],
  };
  plot.replaceChildren();
  return new uPlot(options, [spec.x, ...spec.series.map((line) => line.values)], plot);
}

let charts = [];
function drawAll() {
  charts.forEach((one) => one.destroy());
  charts = Array.from(document.querySelectorAll("[data-chart]"), draw);
}

let resizing;
addEventListener("resize", () => { clearTimeout(resizing); resizing = setTimeout(drawAll, 150); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);

// Who types, or has opened a list, keeps what they see until they are done.
const isBusy = () =>
  document.activeElement?.matches("input, textarea, select") ||
  document.querySelector("main details[open]") !== null ||
  Array.from(document.querySelectorAll("main input:not([type=hidden])")).some((input) => input.value);

const BUSY_MS = 5000;
const RETRY_MS = 5000;
let isRefreshing = false;
let isStale = false;

async function refresh() {
  isStale = true;
  if (isRefreshing) return;
  isRefreshing = true;
  try {
    while (isStale) {
      if (isBusy()) {
        await new Promise((resolve) => setTimeout(resolve, BUSY_MS));
        continue;
      }
      isStale = false;
      const whole = new URL(location.href);
      whole.searchParams.set("whole", "1");
      const response = await fetch(whole.pathname + whole.search, { headers: { Accept: "text/html" } });
      if (!response.ok) throw new Error(response.statusText);
      const text = await response.text();
      if (isBusy()) isStale = true;
      else show(new DOMParser().parseFromString(text, "text/html"));
    }
  } catch {
    setTimeout(refresh, RETRY_MS);
  } finally {
    isRefreshing = false;
  }
}

function show(next) {
  const main = document.getElementById("main");
  const focused = document.activeElement?.closest("main a")?.getAttribute("href");
  const scrolled = Array.from(main.querySelectorAll(".scroll"), (box) => box.scrollLeft);
  main.replaceChildren(...next.getElementById("main").childNodes);
  main.querySelectorAll(".scroll").forEach((box, n) => { box.scrollLeft = scrolled[n] || 0; });
  if (focused) main.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  drawAll();
}

// Browsers open six connections to a server: a page that nobody sees gives its own back.
function follow(address) {
  const said = document.getElementById("live");
  let source;
  let known;
  let retry;
  const open = () => {
    close();
    source = new EventSource(address);
    source.onopen = () => { said.textContent = "Live"; };
    source.onerror = () => {
      said.textContent = "Reconnecting";
      if (source.readyState === EventSource.CLOSED) retry = setTimeout(open, RETRY_MS);
    };
    source.onmessage = ({ data }) => {
      if (known !== undefined && known !== data) refresh();
      if (data === "done") { close(); said.textContent = ""; } // of what has an end
      known = data;
    };
  };
  const close = () => { clearTimeout(retry); source?.close(); };
  document.addEventListener("visibilitychange", () => { if (document.hidden) close(); else open(); });
  addEventListener("pagehide", close);
  addEventListener("pageshow", ({ persisted }) => { if (persisted) open(); });
  if (!document.hidden) open();
}

if (new URLSearchParams(location.search).has("did")) history.replaceState(null, "", location.pathname);
drawAll();
if (document.body.dataset.live) follow(document.body.dataset.live);
if (document.querySelector("[data-later]")) refresh();
