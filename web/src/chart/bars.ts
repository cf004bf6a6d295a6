// Bars on a uPlot: gross up, refunds down, net marked, on one scale. uPlot brings axes, scales and the cursor; what a bar looks
// like is drawn here, because a broken bar and a hatched one are no kinds that it knows.

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { moneyShort, moneyTick } from "../fmt";
import { reachOf, timeTicks, type Bin, type Gathered, type Reach } from "./gather";

const FONT = "11px system-ui, -apple-system, sans-serif";
/** Height that the label of a broken bar takes. */
const LABEL_PX = 20;
const FONT_STRONG = "600 12px system-ui, -apple-system, sans-serif";

/** What is drawn; later bars than `firmTo` may still grow and are hatched. */
export interface Drawn {
  g: Gathered;
  currency: string;
  firmTo: number;
}

export class Bars {
  private readonly plot: uPlot;
  private reach: Reach;
  private marks: { i: number; text: string }[] = [];

  constructor(host: HTMLElement, private drawn: Drawn, width: number, private height: number, onCursor: (i: number | null) => void) {
    this.reach = reachOf(drawn.g.bins, drawn.currency, lines(height));
    const text = (): string => token("--soft");
    this.plot = new uPlot({
      width, height,
      legend: { show: false },
      padding: [10, 4, 0, 0],
      scales: {
        x: { time: false, range: () => [-0.5, Math.max(0, this.drawn.g.bins.length) - 0.5] },
        y: { range: () => this.room() },
      },
      series: [{}, { paths: () => null, points: { show: false } }],
      axes: [
        {
          font: FONT, stroke: text, grid: { show: false }, ticks: { show: false }, size: 24, gap: 6,
          splits: () => (this.marks = timeTicks(this.drawn.g, this.plot?.bbox ? this.plot.bbox.width / devicePixelRatio : width)).map((m) => m.i),
          values: () => this.marks.map((m) => m.text),
        },
        {
          font: FONT, stroke: text, ticks: { show: false }, gap: 8,
          grid: { stroke: () => token("--line"), width: 1 },
          size: (_u, values) => Math.ceil(Math.max(3, ...(values ?? []).map((v) => v.length)) * 6.6) + 12,
          splits: () => this.reach.ticks,
          values: (_u, ticks) => ticks.map((t) => moneyTick(t, this.drawn.currency)),
        },
      ],
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      hooks: { draw: [(u) => this.paint(u)], setCursor: [(u) => onCursor(u.cursor.left == null || u.cursor.left < 0 ? null : (u.cursor.idx ?? null))] },
    }, this.data(), host);
  }

  update(drawn: Drawn, width: number, height: number): void {
    this.drawn = drawn;
    this.height = height;
    this.reach = reachOf(drawn.g.bins, drawn.currency, lines(height));
    if (this.plot.width !== width || this.plot.height !== height) this.plot.setSize({ width, height });
    this.plot.setData(this.data());
  }
  /** Colours are read anew. */
  redraw(): void {
    this.plot.redraw(false, true);
  }
  /** Puts the cursor on a bar, or takes it away. */
  point(i: number | null): void {
    this.plot.setCursor(i == null ? { left: -10, top: -10 } : { left: this.plot.valToPos(i, "x"), top: 1 });
  }
  destroy(): void {
    this.plot.destroy();
  }

  /** The scale reaches beyond a broken bar by the height of its label. */
  private room(): [number, number] {
    const { up, down, brokenUp, brokenDown } = this.reach;
    const label = ((up + down) * LABEL_PX) / Math.max(1, this.height - 34 - LABEL_PX * (Number(brokenUp) + Number(brokenDown)));
    return [-down - (brokenDown ? label : 0), up + (brokenUp ? label : 0)];
  }
  private data(): uPlot.AlignedData {
    const { bins } = this.drawn.g;
    return [bins.map((_, i) => i), bins.map((b) => b.net)];
  }

  private paint(u: uPlot): void {
    const { ctx } = u;
    const { g, firmTo } = this.drawn;
    const px = devicePixelRatio;
    const y = (v: number): number => u.valToPos(v, "y", true);
    const slot = u.bbox.width / Math.max(1, g.bins.length);
    const w = Math.max(px, Math.min(14 * px, slot - (slot > 8 * px ? 2 : 1) * px));
    const x = (i: number): number => u.valToPos(i, "x", true) - w / 2;
    const zero = y(0);
    const ink = { gross: token("--accent"), refund: token("--soft"), net: token("--ink"), ground: token("--card") };
    const hatched = hatch(ctx, ink.gross, ink.ground, px);
    const labels: { i: number; value: number; y: number }[] = [];
    ctx.save();
    ctx.strokeStyle = ink.refund;
    line(ctx, u.bbox.left, zero, u.bbox.left + u.bbox.width, zero, px);
    g.bins.forEach((b, i) => {
      const later = b.at + g.per * 60_000 > firmTo;
      if (b.gross > 0) {
        const top = y(Math.min(b.gross, this.reach.up));
        ctx.fillStyle = later ? hatched : ink.gross;
        ctx.fillRect(x(i), top, w, Math.max(px, zero - top));
        if (b.gross > this.reach.up) {
          cut(ctx, x(i), top + 12 * px, w, ink.ground, px);
          labels.push({ i, value: b.gross, y: top - 8 * px });
        }
      }
      if (b.refund > 0) this.paintRefund(ctx, b, i, x(i), w, zero, y, ink, labels, px);
    });
    this.paintLabels(u, labels, ink.net, px);
    ctx.restore();
  }

  private paintRefund(
    ctx: CanvasRenderingContext2D, b: Bin, i: number, x: number, w: number, zero: number, y: (v: number) => number,
    ink: { refund: string; net: string; ground: string }, labels: { i: number; value: number; y: number }[], px: number,
  ): void {
    const low = y(-Math.min(b.refund, this.reach.down));
    ctx.fillStyle = ink.refund;
    ctx.fillRect(x, zero + px, w, Math.max(px, low - zero - px));
    if (b.refund > this.reach.down) {
      cut(ctx, x, low - 12 * px, w, ink.ground, px);
      labels.push({ i, value: -b.refund, y: low + 14 * px });
    }
    if (b.net > this.reach.up || b.net < -this.reach.down) return;
    ctx.strokeStyle = ink.net;
    line(ctx, x - px, y(b.net), x + w + px, y(b.net), 2 * px);
  }

  /** True values of broken bars: the largest first, and none over another. */
  private paintLabels(u: uPlot, labels: { i: number; value: number; y: number }[], ink: string, px: number): void {
    const { ctx } = u;
    const taken: { at: number; half: number; up: boolean }[] = [];
    ctx.fillStyle = ink;
    ctx.font = FONT_STRONG.replace("12px", `${12 * px}px`);
    ctx.textAlign = "center";
    for (const { i, value, y } of labels.sort((a, b) => Math.abs(b.value) - Math.abs(a.value))) {
      const text = moneyShort(value, this.drawn.currency);
      const half = ctx.measureText(text).width / 2 + 4 * px;
      const at = Math.max(u.bbox.left + half, Math.min(u.bbox.left + u.bbox.width - half, u.valToPos(i, "x", true)));
      if (taken.some((t) => t.up === value > 0 && Math.abs(t.at - at) < t.half + half)) continue;
      taken.push({ at, half, up: value > 0 });
      ctx.fillText(text, at, y);
    }
  }
}

const lines = (height: number): number => (height > 240 ? 5 : 4);
const token = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function line(ctx: CanvasRenderingContext2D, x0: number, y0: number, x1: number, y1: number, width: number): void {
  ctx.lineWidth = width;
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.stroke();
}

/** The slanted gap that says: this bar goes on. */
function cut(ctx: CanvasRenderingContext2D, x: number, y: number, w: number, ground: string, px: number): void {
  ctx.strokeStyle = ground;
  line(ctx, x - 3 * px, y + 3 * px, x + w + 3 * px, y - 3 * px, 3 * px);
}

function hatch(ctx: CanvasRenderingContext2D, ink: string, ground: string, px: number): CanvasPattern | string {
  const tile = document.createElement("canvas");
  const side = Math.round(5 * px);
  tile.width = tile.height = side;
  const on = tile.getContext("2d");
  if (!on) return ink;
  on.fillStyle = ground;
  on.fillRect(0, 0, side, side);
  on.strokeStyle = ink;
  for (const shift of [-side, 0, side]) line(on, shift, side, shift + side, 0, 1.6 * px);
  return ctx.createPattern(tile, "repeat") ?? ink;
}
