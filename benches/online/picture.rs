//! Latencies over time, as a picture.

use std::fmt::Write as _;
use std::time::Duration;

use super::Way;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 70.0;
/// The milliseconds at the bottom and at the top; the scale is logarithmic.
const LOW: f64 = 0.1;
const HIGH: f64 = 100_000.0;
/// How many columns a picture has.
const COLUMNS: u32 = 400;

/// Both ways under each other, over the same time.
pub(crate) fn draw(direct: &Way, online: &Way) -> String {
    let until = direct.seen.series.end().max(online.seen.series.end()).as_secs_f64().max(1.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        WIDTH + LEFT + 20.0,
        2.0 * (HEIGHT + 60.0)
    );
    for (at, way, title) in [
        (0.0, direct, "plain ALTER COLUMN TYPE: the longest wait of a client"),
        (HEIGHT + 60.0, online, "online: the longest wait of a client"),
    ] {
        panel(&mut out, at + 30.0, way, until, title);
    }
    out.push_str("</svg>\n");
    out
}

fn panel(out: &mut String, top: f64, way: &Way, until: f64, title: &str) {
    let x = |at: Duration| LEFT + at.as_secs_f64() / until * WIDTH;
    let y =
        |ms: f64| top + HEIGHT * (1.0 - (ms.clamp(LOW, HIGH) / LOW).log10() / (HIGH / LOW).log10());
    let _ = writeln!(
        out,
        "<text x=\"{LEFT}\" y=\"{:.1}\" font-weight=\"bold\">{title}</text>",
        top - 8.0
    );
    for change in [Some(&way.change), way.back.as_ref()].into_iter().flatten() {
        let (from, to) = (x(change.began), x(change.began + change.took));
        let _ = writeln!(
            out,
            "<rect x=\"{from:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{HEIGHT}\" fill=\"#eef3fb\"/>",
            to - from
        );
    }
    for (ms, words) in [
        (0.1, "0.1 ms"),
        (1.0, "1 ms"),
        (10.0, "10 ms"),
        (100.0, "100 ms"),
        (1e3, "1 s"),
        (1e4, "10 s"),
        (1e5, "100 s"),
    ] {
        let at = y(ms);
        let _ = writeln!(
            out,
            "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ccc\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{words}</text>",
            LEFT + WIDTH,
            LEFT - 6.0,
            at + 4.0
        );
    }
    // The longest of each slice of time; a wait is drawn where it began.
    let mut longest = vec![0.0_f64; COLUMNS as usize + 1];
    for (at, _, took) in way.seen.series.slices() {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        // a column of the picture
        let column = (at.as_secs_f64() / until * f64::from(COLUMNS)) as usize;
        if let Some(slot) = longest.get_mut(column) {
            *slot = slot.max(took.as_secs_f64() * 1e3);
        }
    }
    for (column, ms) in longest.iter().enumerate().filter(|(_, ms)| **ms > 0.0) {
        #[allow(clippy::cast_precision_loss)] // a column of the picture
        let at = LEFT + column as f64 / f64::from(COLUMNS) * WIDTH;
        let _ = writeln!(
            out,
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"#3465a4\" stroke-width=\"2\"/>",
            y(*ms),
            top + HEIGHT
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{until:.0} s</text>",
        LEFT + WIDTH,
        top + HEIGHT + 15.0
    );
}
