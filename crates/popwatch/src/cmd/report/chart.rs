//! Takings by minute as a drawing: gross up, refunds down, one order of a lifetime cut off and named.

use std::fmt::Write as _;

use popwatch_wire::json::rfc3339;

use crate::cmd::reconcile::show;

/// The drawing, its own units.
const WIDTH: i64 = 1_000;
const HEIGHT: i64 = 260;
/// Room for the scale on the left and the hours below.
const LEFT: i64 = 84;
const BELOW: i64 = 22;
/// Bars at most; more minutes share one.
const BARS_MAX: i64 = 180;
/// A bar more than this many times the usual largest is cut.
const TALL: i64 = 3;
const MINUTE_MS: i64 = 60_000;

/// One minute's takings, minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Minute {
    pub(super) start_ms: i64,
    pub(super) gross: i64,
    pub(super) refund: i64,
}

/// The drawing of one currency; empty without takings.
pub(super) fn takings(currency: &str, minutes: &[Minute]) -> String {
    let (Some(first), Some(last)) = (minutes.first(), minutes.last()) else {
        return String::new();
    };
    let span = (last.start_ms - first.start_ms) / MINUTE_MS + 1;
    let step = (span + BARS_MAX - 1) / BARS_MAX;
    let count = (span + step - 1) / step;
    let bars = grouped(minutes, first.start_ms, step, count);
    let up = ceiling(bars.iter().map(|bar| bar.gross));
    let down = ceiling(bars.iter().map(|bar| bar.refund));
    let (plot, total) = (HEIGHT - BELOW, (up + down).max(1));
    // At least a sliver for refunds where there are some, so that they are seen.
    let zero = (plot * up / total).min(if down > 0 { plot - 12 } else { plot });
    let scale = Scale {
        zero,
        plot,
        up,
        down,
        count,
    };
    let mut out = format!(
        "<svg class=chart viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=img aria-label=\"Takings in {currency} by {}\">",
        if step == 1 {
            "minute".to_owned()
        } else {
            format!("{step} minutes")
        }
    );
    grid(&mut out, currency, &scale);
    bars.iter()
        .enumerate()
        .for_each(|(at, bar)| draw(&mut out, currency, &scale, at, bar));
    hours(&mut out, first.start_ms, step, &scale);
    out.push_str("</svg>");
    let unit = if step == 1 {
        String::new()
    } else {
        format!(" One bar is {step} minutes.")
    };
    write!(
        out,
        "<p class=note>{currency}, gross up, refunds down, times in UTC.{unit}{}</p>",
        match bars.iter().any(|bar| bar.gross > up || bar.refund > down) {
            true =>
                " Bars with a gap are taller than the drawing; their amount stands beside them.",
            false => "",
        }
    )
    .expect("writing to a string cannot fail");
    out
}

struct Scale {
    zero: i64,
    plot: i64,
    up: i64,
    down: i64,
    count: i64,
}

impl Scale {
    /// Left edge and width of a bar, tenths of a unit.
    fn across(&self, at: usize) -> (i64, i64) {
        let room = (WIDTH - LEFT) * 10;
        let at = i64::try_from(at).unwrap_or(i64::MAX);
        let left = room * at / self.count;
        let width = (room / self.count * 8 / 10).clamp(12, 140);
        (LEFT * 10 + left, width)
    }

    fn above(&self, gross: i64) -> i64 {
        share(gross.min(self.up), self.up, self.zero)
    }

    fn below(&self, refund: i64) -> i64 {
        share(refund.min(self.down), self.down, self.plot - self.zero)
    }
}

/// `value ÷ of` of a length; something that is there is at least one unit.
fn share(value: i64, of: i64, length: i64) -> i64 {
    if value <= 0 || of <= 0 {
        return 0;
    }
    let exact = i128::from(value) * i128::from(length) / i128::from(of);
    i64::try_from(exact).unwrap_or(length).max(1)
}

fn grouped(minutes: &[Minute], first_ms: i64, step: i64, count: i64) -> Vec<Minute> {
    let empty = |at: i64| Minute {
        start_ms: first_ms + at * step * MINUTE_MS,
        gross: 0,
        refund: 0,
    };
    let mut bars: Vec<Minute> = (0..count).map(empty).collect();
    for minute in minutes {
        let at = (minute.start_ms - first_ms) / MINUTE_MS / step;
        let bar = usize::try_from(at).ok().and_then(|at| bars.get_mut(at));
        if let Some(bar) = bar {
            bar.gross = bar.gross.saturating_add(minute.gross);
            bar.refund = bar.refund.saturating_add(minute.refund);
        }
    }
    bars
}

/// Where the drawing ends: the largest bar, unless it stands alone far above the others.
fn ceiling(values: impl Iterator<Item = i64>) -> i64 {
    let mut values: Vec<i64> = values.filter(|value| *value > 0).collect();
    values.sort_unstable();
    let Some(largest) = values.last().copied() else {
        return 0;
    };
    let usual = values
        .get(values.len() * 9 / 10)
        .copied()
        .unwrap_or(largest);
    let usual = if values.len() < 5 { largest } else { usual };
    match largest > usual.saturating_mul(TALL) {
        true => usual.saturating_mul(TALL) / 2,
        false => largest,
    }
}

fn grid(out: &mut String, currency: &str, scale: &Scale) {
    let mut line = |y: i64, text: &str, class: &str| {
        write!(
            out,
            "<path class={class} d=\"M{LEFT} {y}H{WIDTH}\"/><text x={} y={} text-anchor=end>{text}</text>",
            LEFT - 6,
            (y + 4).clamp(10, scale.plot)
        )
        .expect("writing to a string cannot fail");
    };
    line(scale.zero, "0", "axis");
    if scale.up > 0 {
        for quarter in [2, 4] {
            let y = scale.zero - scale.zero * quarter / 4;
            line(y, &short(currency, scale.up * quarter / 4), "grid");
        }
    }
    if scale.plot - scale.zero > 30 {
        line(scale.plot, &short(currency, -scale.down), "grid");
    }
}

/// An amount without its currency and decimals.
fn short(currency: &str, minor: i64) -> String {
    let text = show(currency, minor);
    let text = text
        .split_once(' ')
        .map_or(text.as_str(), |(_, amount)| amount);
    let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
    whole.replace('-', "−")
}

fn draw(out: &mut String, currency: &str, scale: &Scale, at: usize, bar: &Minute) {
    let (left, width) = scale.across(at);
    let x = |tenths: i64| format!("{}.{}", tenths / 10, tenths % 10);
    let at_time = rfc3339(bar.start_ms);
    let at_time = at_time.get(11..16).unwrap_or_default();
    let mut rect = |class: &str, y: i64, height: i64, minor: i64| {
        if height == 0 {
            return;
        }
        write!(
            out,
            "<rect class={class} x={} y={y} width={} height={height}><title>{at_time} {}</title></rect>",
            x(left),
            x(width),
            show(currency, minor)
        )
        .expect("writing to a string cannot fail");
    };
    let above = scale.above(bar.gross);
    rect("gross", scale.zero - above, above, bar.gross);
    rect("refund", scale.zero, scale.below(bar.refund), -bar.refund);
    let cuts = [
        (bar.gross > scale.up, 14, 11, bar.gross),
        (
            bar.refund > scale.down && scale.down > 0,
            scale.plot - 16,
            scale.plot - 4,
            -bar.refund,
        ),
    ];
    for (is_cut, y, text_y, minor) in cuts {
        if !is_cut {
            continue;
        }
        let (anchor, text_x) = match left > WIDTH * 8 {
            true => ("end", left - 30),
            false => ("start", left + width + 30),
        };
        write!(
            out,
            "<rect class=cut x={} y={y} width={} height=3 /><text class=tall x={} y={text_y} text-anchor={anchor}>{}</text>",
            x(left - 20),
            x(width + 40),
            x(text_x),
            short(currency, minor)
        )
        .expect("writing to a string cannot fail");
    }
}

fn hours(out: &mut String, first_ms: i64, step: i64, scale: &Scale) {
    let span_min = scale.count * step;
    let every = [5, 15, 30, 60, 180, 360, 720, 1_440]
        .into_iter()
        .find(|every| span_min / every <= 12)
        .unwrap_or(1_440);
    let every_ms = every * MINUTE_MS;
    let mut tick = (first_ms + every_ms - 1) / every_ms * every_ms;
    let end_ms = first_ms + span_min * MINUTE_MS;
    while tick < end_ms {
        let minutes = (tick - first_ms) / MINUTE_MS;
        let x = LEFT + (WIDTH - LEFT) * minutes / span_min;
        let text = rfc3339(tick);
        let text = match every {
            1_440 => text.get(5..10),
            _ => text.get(11..16),
        };
        write!(
            out,
            "<path class=grid d=\"M{x} {}v5\"/><text x={x} y={} text-anchor=middle>{}</text>",
            scale.plot,
            HEIGHT - 5,
            text.unwrap_or_default()
        )
        .expect("writing to a string cannot fail");
        tick += every_ms;
    }
}
