// Revenue per minute: gross up, refunds down, net marked, on one scale. The axis follows what most minutes do, so that one
// huge order does not flatten the day: a bar beyond it is broken visibly and carries its true value.

import { h } from "./dom.js";
import { exponentOf, hm, money, moneyShort, moneyTick, plural } from "./fmt.js";

const MINUTE = 60_000;
const BIN_MINUTES = [1, 2, 5, 10, 15, 30, 60, 120, 240];
const BAR_PX_MIN = 2.9;
const OUTSIDE_MS = 3_600_000; // a minute further than this outside the window is a wrong clock: table only
const QUANTILE = 0.9;
const BREAK_ABOVE = 2;
const BROKEN_SHARE_MIN = 0.25; // room that a side with a broken bar gets at least, of the other side

/** Minute rows of one currency, gathered into as many bars as the width can show. Integer sums only. */
export function gather(minutes, currency, popup, width) {
  const rows = [];
  let mixed = false;
  for (const m of minutes) {
    if ((m.money || []).length > 1) mixed = true;
    const c = (m.money || []).find((x) => x.currency === currency);
    rows.push({ at: m.start_ms, gross: c ? c.gross : 0, refund: c ? c.refund : 0, net: c ? c.net : 0, sales: m.conversions || 0 });
  }
  rows.sort((a, b) => a.at - b.at);
  const [opens, closes] = [(popup && popup.starts_ms) ?? -Infinity, (popup && popup.ends_ms) ?? Infinity];
  const inside = rows.filter((r) => r.at >= opens - OUTSIDE_MS && r.at <= closes + OUTSIDE_MS);
  if (!inside.length) return { rows, bins: [], per: 1, mixed, outside: rows.length };
  let from = inside[0].at;
  const to = Math.max(inside[inside.length - 1].at, from + 19 * MINUTE);
  const room = Math.max(1, Math.floor(width / BAR_PX_MIN));
  const per = BIN_MINUTES.find((b) => (to - from) / (b * MINUTE) + 1 <= room) || BIN_MINUTES[BIN_MINUTES.length - 1];
  from = Math.floor(from / (per * MINUTE)) * per * MINUTE;
  const bins = Array.from({ length: Math.floor((to - from) / (per * MINUTE)) + 1 }, (_, i) => ({ at: from + i * per * MINUTE, gross: 0, refund: 0, net: 0, sales: 0 }));
  for (const r of inside) {
    const b = bins[Math.floor((r.at - from) / (per * MINUTE))];
    b.gross += r.gross;
    b.refund += r.refund;
    b.net += r.net;
    b.sales += r.sales;
  }
  return { rows, bins, per, mixed, outside: rows.length - inside.length };
}

function niceStep(rough, unit) {
  const r = Math.max(rough / unit, 1);
  const ten = 10 ** Math.floor(Math.log10(r));
  const lead = r / ten;
  return (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 2.5 ? 2.5 : lead <= 5 ? 5 : 10) * ten * unit;
}

/** How far an axis reaches: to the largest value that is not far beyond what 90 % of the bars need. */
function reach(values, unit) {
  const v = values.filter((x) => x > 0).sort((a, b) => a - b);
  if (!v.length) return 0;
  const far = v[Math.floor(QUANTILE * (v.length - 1))] * BREAK_ABOVE;
  const tallest = v.filter((x) => x <= far).pop();
  return Math.max(tallest < v[v.length - 1] ? tallest * 1.25 : tallest, unit);
}

const TIME_STEPS = [5, 10, 15, 30, 60, 120, 240, 480];

/** Draws the gathered bars. `provisionalFrom` is the watermark: what is later may still grow and is hatched. */
export function draw(g, currency, width, height, provisionalFrom, label) {
  const unit = 10 ** exponentOf(currency);
  const { bins, per } = g;
  let up = reach(bins.map((b) => b.gross), unit);
  let down = reach(bins.map((b) => b.refund), unit);
  if (bins.some((b) => b.refund > down)) down = Math.max(down, up * BROKEN_SHARE_MIN);
  if (bins.some((b) => b.gross > up)) up = Math.max(up, down * BROKEN_SHARE_MIN);
  const step = niceStep((up + down || unit) / (height > 240 ? 5 : 4), unit);
  const brokenUp = bins.some((b) => b.gross > up);
  const brokenDown = bins.some((b) => b.refund > down);
  const pad = { top: brokenUp ? 24 : 10, bottom: (brokenDown ? 18 : 4) + 22 };
  const ticks = [];
  for (let t = -Math.floor(down / step) * step; t <= up; t += step) ticks.push(t);
  const left = Math.ceil(Math.max(...ticks.map((t) => moneyTick(t, currency).length)) * 6.7) + 10;
  const plotW = width - left - 2;
  const plotH = height - pad.top - pad.bottom;
  const scale = plotH / (up + down || unit);
  const zero = pad.top + up * scale;
  const y = (v) => zero - v * scale;
  const x = (i) => left + (i * plotW) / bins.length;
  const slot = plotW / bins.length;
  const w = Math.max(1, Math.min(14, slot - (slot > 8 ? 2 : 1)));
  const bx = (i) => x(i) + (slot - w) / 2;

  const paths = { solid: "", soft: "", refund: "", net: "", breaks: "" };
  const labels = [];
  bins.forEach((b, i) => {
    const later = b.at + per * MINUTE > provisionalFrom;
    if (b.gross > 0) {
      const top = Math.min(b.gross, up);
      paths[later ? "soft" : "solid"] += box(bx(i), y(top), w, Math.max(1, top * scale));
      if (b.gross > up) {
        paths.breaks += slash(bx(i), pad.top + 12, w);
        labels.push({ i, value: b.gross, y: pad.top - 9 });
      }
    }
    if (b.refund > 0) {
      const low = Math.min(b.refund, down);
      paths.refund += box(bx(i), zero + 1, w, Math.max(1, low * scale - 1));
      if (b.refund > down) {
        paths.breaks += slash(bx(i), zero + down * scale - 12, w);
        labels.push({ i, value: -b.refund, y: zero + down * scale + 14 });
      }
      if (b.net <= up && b.net >= -down) paths.net += `M${n(bx(i) - 1)} ${n(y(b.net))}h${n(w + 2)}`;
    }
  });

  return h("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true", focusable: "false" },
    h("defs", null, h("pattern", { id: "hatch", width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
      h("rect", { width: 5, height: 5, class: "hatch-ground" }), h("rect", { width: 2.2, height: 5, class: "hatch-line" }))),
    ticks.map((t) => h("g", null,
      h("line", { class: t === 0 ? "zero" : "grid", x1: left, x2: width, y1: n(y(t)), y2: n(y(t)) }),
      h("text", { class: "tick", x: left - 8, y: n(y(t) + 4), "text-anchor": "end" }, moneyTick(t, currency)))),
    timeTicks(bins, per, plotW).map(({ i, text }) => h("text", { class: "tick", x: n(clamp(x(i), left + 14, width - 16)), y: height - 5, "text-anchor": "middle" }, text)),
    h("path", { class: "bar-gross", d: paths.solid }),
    h("path", { class: "bar-soft", d: paths.soft, fill: "url(#hatch)" }),
    h("path", { class: "bar-refund", d: paths.refund }),
    h("path", { class: "bar-break", d: paths.breaks }),
    h("path", { class: "net-mark", d: paths.net }),
    spaced(labels, x, slot, currency, left, width).map((l) => h("text", { class: "beyond", x: n(l.x), y: n(l.y), "text-anchor": "middle" }, l.text)),
    label == null ? null : h("rect", { class: "cursor", x: n(x(label)), y: pad.top - 4, width: n(Math.max(slot, 2)), height: n(plotH + 8) }));
}

/** Which bar lies under a pointer, by the same geometry as `draw`. */
export function barAt(svg, clientX, bins) {
  const zero = svg.querySelector(".zero");
  const box = svg.getBoundingClientRect();
  const left = zero ? Number(zero.getAttribute("x1")) : 0;
  const i = Math.floor(((clientX - box.left - left) / (box.width - left - 2)) * bins.length);
  return clamp(i, 0, bins.length - 1);
}

function timeTicks(bins, per, plotW) {
  const room = Math.max(2, Math.floor(plotW / 64));
  const step = TIME_STEPS.find((s) => (bins.length * per) / s <= room) || 1440;
  const out = [];
  bins.forEach((b, i) => {
    const start = Math.ceil(b.at / (step * MINUTE)) * step * MINUTE;
    if (start < b.at + per * MINUTE) out.push({ i, text: hm(start) });
  });
  return out;
}

/** Labels of broken bars: the largest first, and none over another. */
function spaced(labels, x, slot, currency, left, width) {
  const taken = [];
  return labels.sort((a, b) => Math.abs(b.value) - Math.abs(a.value)).flatMap((l) => {
    const text = moneyShort(l.value, currency);
    const half = text.length * 3.7 + 4;
    const at = clamp(x(l.i) + slot / 2, left + half, width - half);
    if (taken.some((t) => Math.abs(t.at - at) < t.half + half && Math.sign(t.value) === Math.sign(l.value))) return [];
    taken.push({ at, half, value: l.value });
    return [{ x: at, y: l.y, text }];
  });
}

/** "19:04 – £1,204.00 gross, £40.00 refunds, £1,164.00 net, 31 sales" */
export function readout(b, g, currency) {
  const { per, mixed } = g;
  const time = per === 1 ? hm(b.at) : `${hm(b.at)}–${hm(b.at + per * MINUTE)}`;
  return { time, text: `${money(b.gross, currency)} gross, ${money(b.refund, currency)} refunds, ${money(b.net, currency)} net, ${plural(b.sales, "sale", "sales")}${mixed ? " in all currencies" : ""}` };
}

const clamp = (v, lo, hi) => Math.max(lo, Math.min(hi, v));
const n = (v) => Math.round(v * 10) / 10;
const box = (x, y, w, hgt) => `M${n(x)} ${n(y)}h${n(w)}v${n(hgt)}h${n(-w)}z`;
const slash = (x, y, w) => `M${n(x - 3)} ${n(y + 3)}l${n(w + 6)} -6`;
